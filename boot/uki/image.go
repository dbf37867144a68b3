package uki

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"runtime"
	"strings"

	"github.com/gitboot/gitboot/internal/ctxio"
)

// Folder is where distributions have systemd-boot, and the stub of boot images.
const Folder = "/usr/lib/systemd/boot/efi/"

// Stub is where they have that for machines of an architecture, "" for this computer's.
func Stub(arch string) string { return Folder + "linux" + Suffix(arch) + ".efi.stub" }

// Suffix is how the names of programs that UEFI starts end for an architecture (its
// specification, 3.5.1.1), in lower case.
func Suffix(arch string) string {
	if cmp.Or(arch, runtime.GOARCH) == "arm64" {
		return "aa64"
	}
	return "x64"
}

// An Image is what one is made of.
type Image struct {
	Stub []byte
	// Release is what it says of itself, in the form of os-release(5).
	Release, Cmdline string
	Kernel, Initrd   Part
	// Signer signs it, nil if nobody does.
	Signer *Signer
	// Signature is one that was made of it elsewhere (SignatureIn), for a signer without
	// the key.
	Signature []byte
}

// A Part is a file, by its content.
type Part struct{ File, SHA256 string }

// ReadStub reads one.
func ReadStub(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the stub of boot images: %w; install systemd-boot-efi, for another architecture than this computer's systemd-boot-efi:arm64 or :amd64", err)
	}
	defer f.Close()
	code, err := io.ReadAll(io.LimitReader(f, MaxStub+1))
	if err == nil && len(code) > MaxStub {
		err = fmt.Errorf("%s is longer than any stub", path)
	}
	return code, err
}

// Name is a hash of all that decides what it is, so that it is known before it is made.
func (i Image) Name() string {
	sum := sha256.New()
	stub := sha256.Sum256(i.Stub)
	certificate := ""
	if i.Signer != nil {
		certificate = string(i.Signer.Certificate.Raw)
	}
	for _, part := range []string{string(stub[:]), i.Release, i.Cmdline, i.Kernel.SHA256, i.Initrd.SHA256, certificate} {
		fmt.Fprintf(sum, "%d:%s", len(part), part)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// Body is a hash of all that is in it but the stub: what a machine boots, whatever starts
// that and whoever signs it.
func (i Image) Body() string {
	return Image{Release: i.Release, Cmdline: i.Cmdline, Kernel: i.Kernel, Initrd: i.Initrd}.Name()
}

// parts are its sections; those without a file have their text.
func (i Image) parts() []struct {
	name, text string
	part       Part
} {
	return []struct {
		name, text string
		part       Part
	}{{".osrel", i.Release, Part{}}, {".cmdline", i.Cmdline, Part{}}, {".initrd", "", i.Initrd}, {".linux", "", i.Kernel}}
}

// Size is how long it is.
func (i Image) Size() (int64, error) {
	if len(i.Stub) == 0 {
		return 0, errors.New("there is no stub to begin it with; install systemd-boot-efi")
	}
	l, err := read(i.Stub)
	if err != nil {
		return 0, fmt.Errorf("read the stub: %w", err)
	}
	var sections []Section
	for _, p := range i.parts() {
		s := Section{Name: p.name, Size: int64(len(p.text))}
		if p.part.File != "" {
			info, err := os.Stat(p.part.File)
			if err != nil {
				return 0, err
			}
			s.Size = info.Size()
		}
		sections = append(sections, s)
	}
	head, pads, err := l.headers(sections)
	if err != nil {
		return 0, err
	}
	size := int64(len(head))
	for at, s := range sections {
		size += s.Size + pads[at]
	}
	switch {
	case i.Signer == nil:
		return size, nil
	case i.borrows():
		return up(size, aligned) + int64(len(entry(i.Signature))), nil
	}
	more, err := i.Signer.Length(size)
	return size + more, err
}

// A check is of a part that is copied.
type check struct {
	Part
	sum hash.Hash
}

// Write writes it to an empty file. A part with another content than it should have is
// an error.
func (i Image) Write(ctx context.Context, f *os.File) error {
	var sections []Section
	var checks []check
	for _, p := range i.parts() {
		if p.part.File == "" {
			sections = append(sections, Section{p.name, int64(len(p.text)), strings.NewReader(p.text)})
			continue
		}
		in, err := os.Open(p.part.File)
		if err != nil {
			return err
		}
		defer in.Close()
		info, err := in.Stat()
		if err != nil {
			return err
		}
		c := check{p.part, sha256.New()}
		checks = append(checks, c)
		sections = append(sections, Section{p.name, info.Size(), io.TeeReader(ctxio.Reader(ctx, in), c.sum)})
	}
	if err := Write(f, i.Stub, sections); err != nil {
		return err
	}
	for _, c := range checks {
		if hex.EncodeToString(c.sum.Sum(nil)) != c.SHA256 {
			return fmt.Errorf("object %.12s has other content than its name says; `gitboot stage verify` finds all such", c.SHA256)
		}
	}
	switch {
	case i.Signer == nil:
		return nil
	case i.borrows():
		return i.Signer.attach(f, i.Signature)
	}
	return i.Signer.Sign(f)
}

// borrows reports whether its signature was made elsewhere.
func (i Image) borrows() bool { return i.Signature != nil && !i.Signer.CanSign() }

// Check reports whether a file is it: whether it is signed as it is, and by whom.
func (i Image) Check(file string) error {
	if i.Signer == nil {
		return errors.New("it is not signed")
	}
	return i.Signer.Verify(file)
}
