package processor

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// header is a file with words at places.
func header(size int, words map[int]string) []byte {
	b := make([]byte, size)
	for at, word := range words {
		copy(b[at:], word)
	}
	return b
}

func gzipped(t *testing.T, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// efi is a program of UEFI, without the marks that a kernel's other headers have.
func efi(machine uint16) []byte {
	b := header(0x200, map[int]string{0: "MZ", 4: "zimg", 0x80: "PE\x00\x00"})
	binary.LittleEndian.PutUint32(b[0x3c:], 0x80)
	binary.LittleEndian.PutUint16(b[0x84:], machine)
	return b
}

func TestOfKernel(t *testing.T) {
	image := header(0x1000, map[int]string{0: "MZ", 0x38: "ARM\x64"})
	far := efi(0xaa64)
	binary.LittleEndian.PutUint32(far[0x3c:], 0xffffffff)
	for what, c := range map[string]struct {
		file []byte
		want string
	}{
		"bzImage":                      {header(0x400, map[int]string{0x202: "HdrS"}), "amd64"},
		"Image":                        {image, "arm64"},
		"gzipped Image":                {gzipped(t, image), "arm64"},
		"gzipped Image, cut":           {gzipped(t, image)[:12], ""},
		"zboot of arm64":               {efi(0xaa64), "arm64"},
		"zboot of x86-64":              {efi(0x8664), "amd64"},
		"zboot of another":             {efi(0x5064), ""},
		"a program that ends too soon": {far, ""},
		"MZ":                           {[]byte("MZ"), ""},
		"nothing":                      {nil, ""},
		"text":                         {[]byte("a kernel"), ""},
	} {
		if got, err := OfKernel(bytes.NewReader(c.file)); got != c.want || err != nil {
			t.Errorf("%s: %q, %v, want %q", what, got, err, c.want)
		}
	}
}

func FuzzOfKernel(f *testing.F) {
	f.Add(efi(0xaa64))
	f.Add([]byte{0x1f, 0x8b, 8, 0})
	f.Fuzz(func(t *testing.T, file []byte) {
		if got, err := OfKernel(bytes.NewReader(file)); err != nil || got != "" && got != "amd64" && got != "arm64" {
			t.Errorf("%q, %v", got, err)
		}
	})
}

func TestProgram(t *testing.T) {
	for arch, want := range map[string]string{"": "/lib/gitboot-init", runtime.GOARCH: "/lib/gitboot-init", "riscv64": "/lib/gitboot-init-riscv64"} {
		if got := Program("/lib/gitboot-init", arch); got != want {
			t.Errorf("%q: %s", arch, got)
		}
	}
}

// A program says what it is for, and what is none says nothing.
func TestOfProgram(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := OfProgram(self); got != runtime.GOARCH || err != nil {
		t.Errorf("this one: %q, %v", got, err)
	}
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if got, err := OfProgram(script); got != "" || err != nil {
		t.Errorf("a script: %q, %v", got, err)
	}
	if _, err := OfProgram(script + ".gone"); err == nil {
		t.Error("what is not there is read")
	}
}
