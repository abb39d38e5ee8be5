module github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/circuit/peers

go 1.26.0

replace github.com/firebreak-otel/firebreak => ../../../../..

require (
	github.com/failsafe-go/failsafe-go v0.9.8
	github.com/firebreak-otel/firebreak v0.0.0-00010101000000-000000000000
	github.com/sony/gobreaker/v2 v2.4.0
	github.com/stretchr/testify v1.11.1
)

require (
	github.com/bits-and-blooms/bitset v1.24.4 // indirect
	github.com/davecgh/go-spew v1.1.2-0.20180830191138-d8f796af33cc // indirect
	github.com/kr/text v0.2.0 // indirect
	github.com/pmezard/go-difflib v1.0.1-0.20181226105442-5d4384ee4fb2 // indirect
	gopkg.in/yaml.v3 v3.0.1 // indirect
)
