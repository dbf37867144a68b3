package uki

import (
	"bytes"
	"debug/pe"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/gitboot/gitboot/tests/need"
)

const stubFile = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub"

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func stub(t *testing.T) []byte {
	t.Helper()
	data, err := os.ReadFile(stubFile)
	if err != nil {
		t.Fatalf("%v; run tests/deps.sh test", err)
	}
	return data
}

// parts are sections of sizes that are awkward.
func parts() map[string][]byte {
	return map[string][]byte{
		".osrel": []byte("ID=gitboot\n"), ".cmdline": []byte("quiet gitboot.deployment=1"), ".initrd": bytes.Repeat([]byte("i"), 3*page), ".linux": bytes.Repeat([]byte("k"), 70001),
	}
}

var order = [...]string{".osrel", ".cmdline", ".initrd", ".linux"}

func sections(from map[string][]byte) (out []Section) {
	for _, name := range order {
		out = append(out, Section{name, int64(len(from[name])), bytes.NewReader(from[name])})
	}
	return out
}

// objcopy, and Go's reader, find in an image what was put there, and all of the stub.
func TestWrite(t *testing.T) {
	need.Programs(t, "objcopy")
	dir, want := t.TempDir(), parts()
	var image bytes.Buffer
	must(t, Write(&image, stub(t), sections(want)))
	file := filepath.Join(dir, "image.efi")
	must(t, os.WriteFile(file, image.Bytes(), 0o600))
	for name, data := range want {
		out := filepath.Join(dir, "section")
		text, err := exec.Command("objcopy", "--dump-section", name+"="+out, file, filepath.Join(dir, "copy")).CombinedOutput()
		need.Done(t, err, text)
		if got, err := os.ReadFile(out); err != nil || !bytes.HasPrefix(got, data) || len(bytes.Trim(got[len(data):], "\x00")) > 0 {
			t.Errorf("%s has %d bytes, %v, want %d", name, len(got), err, len(data))
		}
	}
	have, err := pe.NewFile(bytes.NewReader(image.Bytes()))
	must(t, err)
	was, err := pe.NewFile(bytes.NewReader(stub(t)))
	must(t, err)
	var end uint32
	for i, s := range have.Sections {
		data, err := s.Data()
		must(t, err)
		if s.VirtualAddress < end {
			t.Errorf("%s lies over the one before", s.Name)
		}
		end = s.VirtualAddress + s.VirtualSize
		if i < len(was.Sections) {
			if before, _ := was.Sections[i].Data(); !bytes.Equal(data, before) {
				t.Errorf("%s is not the stub's", s.Name)
			}
			continue
		}
		if s.Name != order[i-len(was.Sections)] || s.VirtualAddress%page != 0 || !bytes.Equal(data[:s.VirtualSize], want[s.Name]) {
			t.Errorf("%s lies at %#x", s.Name, s.VirtualAddress)
		}
	}
	if size := have.OptionalHeader.(*pe.OptionalHeader64).SizeOfImage; size < end || size%page != 0 {
		t.Errorf("the image takes %#x, and ends at %#x", size, end)
	}
}

// What sbsign signs sbverify takes, and nothing of it with another byte.
func TestSign(t *testing.T) {
	need.Programs(t, "openssl", "sbsign", "sbverify")
	dir := t.TempDir()
	s := Signer{filepath.Join(dir, "key"), filepath.Join(dir, "cert")}
	out, err := exec.Command("openssl", "req", "-new", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=test/", "-keyout", s.Key, "-out", s.Certificate).CombinedOutput()
	need.Done(t, err, out)
	image, signed := filepath.Join(dir, "image"), filepath.Join(dir, "signed")
	var text bytes.Buffer
	must(t, Write(&text, stub(t), sections(parts())))
	must(t, os.WriteFile(image, text.Bytes(), 0o600))
	must(t, os.Chmod(s.Key, 0o600))
	must(t, s.Sign(t.Context(), image, signed))
	verified := func() bool {
		return exec.Command("sbverify", "--cert", s.Certificate, signed).Run() == nil
	}
	if !verified() {
		t.Fatal("it does not verify")
	}
	good, err := os.ReadFile(signed)
	must(t, err)
	for what, part := range map[string]string{"the command line": "gitboot.deployment", "the initramfs": "iiii", "the kernel": "kkkk"} {
		bad := bytes.Clone(good)
		bad[bytes.Index(bad, []byte(part))] ^= 1
		must(t, os.WriteFile(signed, bad, 0o600))
		if verified() {
			t.Errorf("%s was changed, and it verifies", what)
		}
	}
	must(t, os.Chmod(s.Key, 0o640))
	if err := s.Sign(t.Context(), image, signed); err == nil || !strings.Contains(err.Error(), "chmod") {
		t.Errorf("others may read the key: %v", err)
	}
	must(t, os.Remove(s.Certificate))
	if err := s.Sign(t.Context(), image, signed); !errors.Is(err, os.ErrNotExist) && err == nil {
		t.Error("there is no certificate, and it signs")
	}
}

// What is no stub, or too much for one, is an error.
func TestRefused(t *testing.T) {
	good := stub(t)
	at := int(binary.LittleEndian.Uint32(good[0x3c:]))
	spoil := func(do func(b []byte)) []byte {
		b := bytes.Clone(good)
		do(b)
		return b
	}
	for what, b := range map[string][]byte{
		"empty": nil, "text": []byte("MZ no"), "short": good[:len(good)/2],
		"of 32 bits":   spoil(func(b []byte) { binary.LittleEndian.PutUint16(b[at+4:], pe.IMAGE_FILE_MACHINE_I386) }),
		"unaligned":    spoil(func(b []byte) { binary.LittleEndian.PutUint32(b[at+optionalAt+36:], 0) }),
		"without room": spoil(func(b []byte) { binary.LittleEndian.PutUint32(b[at+optionalAt+60:], 0x200) }),
		"signed":       spoil(func(b []byte) { binary.LittleEndian.PutUint32(b[at+optionalAt+112+4*8+4:], 8) }),
	} {
		if err := Write(io.Discard, b, sections(parts())); err == nil {
			t.Errorf("a stub that is %s is taken", what)
		}
	}
	for what, list := range map[string][]Section{
		"empty":    {{".linux", 0, strings.NewReader("")}},
		"too long": {{".linux", maxSize, strings.NewReader("")}},
		"short":    {{".linux", 10, strings.NewReader("123")}},
		"broken":   {{".linux", 10, iotest.ErrReader(io.ErrClosedPipe)}},
		"named so": {{".linux.efi", 1, strings.NewReader("1")}},
		"many":     slices.Repeat([]Section{{".a", 1, strings.NewReader("1")}}, sectionsMost+1),
	} {
		if err := Write(io.Discard, good, list); err == nil {
			t.Errorf("a section that is %s is taken", what)
		}
	}
}

func FuzzStub(f *testing.F) {
	if data, err := os.ReadFile(stubFile); err == nil {
		f.Add(data[:1024])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		_ = Write(io.Discard, data, sections(parts())) // it ends, and does not panic
	})
}
