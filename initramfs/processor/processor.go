// Package processor tells kernels and programs of different architectures apart, which
// it names in Go's words.
package processor

import (
	"bytes"
	"compress/gzip"
	"debug/elf"
	"debug/pe"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
)

// Program is where a program for an architecture lies, "" for this computer's: beside its
// own, and with the architecture in its name if that is another.
func Program(path, arch string) string {
	if arch == "" || arch == runtime.GOARCH {
		return path
	}
	return path + "-" + arch
}

// OfKernel is what a kernel's file is for, "" if it does not say or is none that gitboot
// knows: an x86 boot header (the kernel's
// Documentation/arch/x86/boot.rst), an Image (Documentation/arch/arm64/booting.rst),
// packed by gzip or not, or a program of UEFI, as all of these may be, and a kernel that
// unpacks itself (CONFIG_EFI_ZBOOT) is.
func OfKernel(r io.Reader) (string, error) {
	head := make([]byte, 64<<10)
	n, err := io.ReadFull(r, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return "", err
	}
	head = head[:n]
	if bytes.HasPrefix(head, []byte{0x1f, 0x8b}) {
		packed, err := gzip.NewReader(bytes.NewReader(head))
		if err != nil {
			return "", nil // nobody can boot it
		}
		unpacked := make([]byte, 4<<10)
		n, _ := io.ReadFull(packed, unpacked) // there is no more of what is packed
		head = unpacked[:n]
	}
	return ofHeader(head), nil
}

func ofHeader(head []byte) string {
	const x86At, armAt, peAt = 0x202, 0x38, 0x3c
	switch {
	case len(head) >= x86At+4 && string(head[x86At:x86At+4]) == "HdrS":
		return "amd64"
	case len(head) >= armAt+4 && string(head[armAt:armAt+4]) == "ARM\x64":
		return "arm64"
	case len(head) < peAt+4 || string(head[:2]) != "MZ":
		return ""
	}
	at := int64(binary.LittleEndian.Uint32(head[peAt:]))
	if at+6 > int64(len(head)) || string(head[at:at+4]) != "PE\x00\x00" {
		return ""
	}
	switch binary.LittleEndian.Uint16(head[at+4:]) {
	case pe.IMAGE_FILE_MACHINE_AMD64:
		return "amd64"
	case pe.IMAGE_FILE_MACHINE_ARM64:
		return "arm64"
	}
	return ""
}

// OfProgram is what a program is for, "" if that is none that gitboot knows.
func OfProgram(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", fmt.Errorf("read a program: %w", err)
	}
	defer f.Close()
	program, err := elf.NewFile(f)
	if err != nil {
		return "", nil
	}
	switch program.Machine {
	case elf.EM_X86_64:
		return "amd64", nil
	case elf.EM_AARCH64:
		return "arm64", nil
	}
	return "", nil
}
