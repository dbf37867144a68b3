package secureboot

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/google/uuid"
)

// A Signature is one of what a variable of the firmware's lists (UEFI specification
// 2.10, 32.4.1).
type Signature struct {
	// Type says what Data is, and Owner whose it is.
	Type, Owner uuid.UUID
	Data        []byte
}

// What there is most of.
const (
	typeX509   = "a5c059a1-94e4-4aa7-87b5-ab155c2bf072"
	typeSHA256 = "c1c41626-504c-4092-aca9-41f936934328"
)

// listHeader is what each list begins with: a type and three lengths.
const (
	listHeader = 16 + 3*4
	guidLength = 16
)

var errList = errors.New("a list of signatures has an unknown form")

// Parse reads lists, one behind the other.
func Parse(data []byte) (all []Signature, err error) {
	for len(data) > 0 {
		if len(data) < listHeader {
			return nil, errList
		}
		kind := fromFirmware(data)
		length, header, size := binary.LittleEndian.Uint32(data[16:]), binary.LittleEndian.Uint32(data[20:]), binary.LittleEndian.Uint32(data[24:])
		if int64(length) > int64(len(data)) || int64(listHeader)+int64(header) > int64(length) || size <= guidLength {
			return nil, errList
		}
		for rest := data[listHeader+header : length]; len(rest) > 0; rest = rest[size:] {
			if uint32(len(rest)) < size {
				return nil, errList
			}
			all = append(all, Signature{kind, fromFirmware(rest), bytes.Clone(rest[guidLength:size])})
		}
		data = data[length:]
	}
	return all, nil
}

// encode writes a list of its own for each, as certificates, which have unequal
// lengths, want it.
func encode(all ...Signature) []byte {
	var b []byte
	for _, s := range all {
		size := uint32(guidLength + len(s.Data))
		b = append(b, toFirmware(s.Type)...)
		for _, n := range []uint32{listHeader + size, 0, size} {
			b = binary.LittleEndian.AppendUint32(b, n)
		}
		b = append(append(b, toFirmware(s.Owner)...), s.Data...)
	}
	return b
}

// fromFirmware reads a GUID as firmware keeps it: its first three parts with the lowest
// byte first (UEFI specification 2.10, appendix A).
func fromFirmware(data []byte) (id uuid.UUID) {
	copy(id[:], data[:guidLength])
	turn(&id)
	return id
}

func toFirmware(id uuid.UUID) []byte {
	turn(&id)
	return id[:]
}

func turn(id *uuid.UUID) {
	for _, part := range [][2]int{{0, 3}, {1, 2}, {4, 5}, {6, 7}} {
		id[part[0]], id[part[1]] = id[part[1]], id[part[0]]
	}
}

// certificate is a list of one certificate.
func certificate(owner uuid.UUID, der []byte) []byte {
	return encode(Signature{uuid.MustParse(typeX509), owner, der})
}

// describe says what a signature is of that is no certificate.
func (s Signature) describe() string {
	if s.Type.String() == typeSHA256 {
		return fmt.Sprintf("the program with the hash %x", s.Data)
	}
	return "something of the kind " + s.Type.String()
}
