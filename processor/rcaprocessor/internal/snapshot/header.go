// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// Version is the version of the payload's form. It goes up with every change of what an engine writes.
const Version = 4

// HeaderSize is the length of a header in bytes.
const HeaderSize = 40

// Header says what a payload is. Its bytes, all little-endian: magic [8], version u16, generation u8, 0,
// chunks u32, size u64, fingerprint u64, CRC-32C of the payload u32, CRC-32C of the 36 bytes before u32.
type Header struct {
	Generation  uint8  // which of two sets of chunks is the payload
	Chunks      uint32 // how many there are
	Size        uint64 // of the payload in bytes
	Fingerprint uint64 // of the settings that shaped it
	Sum         uint32 // CRC-32C of the payload
}

var (
	magic      = [8]byte{'f', 'b', '-', 'r', 'c', 'a', '-', 's'}
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

// Sum returns the checksum of a payload.
func Sum(payload []byte) uint32 { return crc32.Checksum(payload, castagnoli) }

// Encode returns the header's bytes.
func (h Header) Encode() []byte {
	le := binary.LittleEndian
	b := make([]byte, 0, HeaderSize)
	b = append(b, magic[:]...)
	b = le.AppendUint16(b, Version)
	b = append(b, h.Generation, 0)
	b = le.AppendUint32(b, h.Chunks)
	b = le.AppendUint64(b, h.Size)
	b = le.AppendUint64(b, h.Fingerprint)
	b = le.AppendUint32(b, h.Sum)
	return le.AppendUint32(b, Sum(b))
}

// DecodeHeader reads a header. Its error wraps ErrCorrupt or ErrVersion.
func DecodeHeader(b []byte) (Header, error) {
	le := binary.LittleEndian
	if len(b) < len(magic)+2 || [8]byte(b) != magic {
		return Header{}, fmt.Errorf("%w: its header does not begin as one", ErrCorrupt)
	}
	if v := le.Uint16(b[8:]); v != Version {
		return Header{}, fmt.Errorf("%w: it has form %d, this build reads form %d", ErrVersion, v, Version)
	}
	if len(b) != HeaderSize || le.Uint32(b[36:]) != Sum(b[:36]) {
		return Header{}, fmt.Errorf("%w: the checksum of its header is wrong", ErrCorrupt)
	}
	return Header{
		Generation: b[10], Chunks: le.Uint32(b[12:]), Size: le.Uint64(b[16:]),
		Fingerprint: le.Uint64(b[24:]), Sum: le.Uint32(b[32:]),
	}, nil
}

// Check says whether payload is the one that the header was written for.
func (h Header) Check(payload []byte) error {
	if uint64(len(payload)) != h.Size {
		return fmt.Errorf("%w: %d bytes are there of %d", ErrCorrupt, len(payload), h.Size)
	}
	if Sum(payload) != h.Sum {
		return fmt.Errorf("%w: its checksum is wrong", ErrCorrupt)
	}
	return nil
}
