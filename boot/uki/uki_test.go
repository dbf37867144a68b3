package uki

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"debug/pe"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"math/big"
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

// signer is one of a new key.
func signer(t *testing.T) (s *Signer, key, certificate string) {
	t.Helper()
	need.Programs(t, "openssl")
	dir := t.TempDir()
	key, certificate = filepath.Join(dir, "key"), filepath.Join(dir, "cert")
	out, err := exec.Command("openssl", "req", "-new", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=test/", "-keyout", key, "-out", certificate).CombinedOutput()
	need.Done(t, err, out)
	must(t, os.Chmod(key, 0o600))
	s, err = LoadSigner(key, certificate)
	must(t, err)
	return s, key, certificate
}

// image is one of parts.
func image(t *testing.T, s *Signer) Image {
	t.Helper()
	dir, from := t.TempDir(), parts()
	i := Image{Stub: stub(t), Release: string(from[".osrel"]), Cmdline: string(from[".cmdline"]), Signer: s}
	for name, part := range map[string]*Part{".initrd": &i.Initrd, ".linux": &i.Kernel} {
		sum := sha256.Sum256(from[name])
		*part = Part{filepath.Join(dir, name), hex.EncodeToString(sum[:])}
		must(t, os.WriteFile(part.File, from[name], 0o600))
	}
	return i
}

func made(t *testing.T, i Image) string {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "image.efi"))
	must(t, err)
	must(t, errors.Join(i.Write(t.Context(), f), f.Close()))
	return f.Name()
}

// What is signed here sbverify takes, and nothing of it with another byte; it is as long
// as was foreseen, and the same each time.
func TestSign(t *testing.T) {
	need.Programs(t, "sbverify")
	s, key, certificate := signer(t)
	other, _, _ := signer(t)
	i := image(t, s)
	file := made(t, i)
	verified := func() bool {
		ok := exec.Command("sbverify", "--cert", certificate, file).Run() == nil
		if err := s.Verify(file); (err == nil) != ok {
			t.Errorf("sbverify takes it: %t; here: %v", ok, err)
		}
		return ok
	}
	if !verified() {
		t.Fatal("it does not verify")
	}
	if err := other.Verify(file); err == nil || !strings.Contains(err.Error(), "not trusted") {
		t.Errorf("by another key: %v", err)
	}
	good, err := os.ReadFile(file)
	must(t, err)
	again, err := os.ReadFile(made(t, i))
	must(t, err)
	if size, err := i.Size(); err != nil || size != int64(len(good)) || !bytes.Equal(good, again) {
		t.Errorf("%d bytes were foreseen, %v, and there are %d; the same again: %t", size, err, len(good), bytes.Equal(good, again))
	}
	for what, part := range map[string]string{"the command line": "gitboot.deployment", "the initramfs": "iiii", "the kernel": "kkkk"} {
		bad := bytes.Clone(good)
		bad[bytes.Index(bad, []byte(part))] ^= 1
		must(t, os.WriteFile(file, bad, 0o600))
		if verified() {
			t.Errorf("%s was changed, and it verifies", what)
		}
	}
	must(t, os.WriteFile(i.Kernel.File, []byte("another"), 0o600))
	f, err := os.Create(filepath.Join(t.TempDir(), "other"))
	must(t, err)
	defer f.Close()
	if err := i.Write(t.Context(), f); err == nil || !strings.Contains(err.Error(), "other content") {
		t.Errorf("another kernel: %v", err)
	}
	must(t, os.Chmod(key, 0o640))
	if _, err := LoadSigner(key, certificate); err == nil || !strings.Contains(err.Error(), "chmod") {
		t.Errorf("others may read the key: %v", err)
	}
	must(t, os.Remove(certificate))
	if _, err := LoadSigner("", certificate); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("there is no certificate: %v", err)
	}
}

// Who has the certificate alone makes the same program as who has the key, with the
// signature of that; and none with a signature of another program, or by another key.
func TestSignedElsewhere(t *testing.T) {
	s, _, certificate := signer(t)
	other, _, _ := signer(t)
	i := image(t, s)
	want := made(t, i)
	signature, err := s.SignatureIn(want)
	must(t, err)
	borrows, err := LoadSigner("", certificate)
	must(t, err)
	i.Signer, i.Signature = borrows, signature
	there := i.Name() + i.Body()
	size, err := i.Size()
	must(t, err)
	a, err := os.ReadFile(want)
	must(t, err)
	b, err := os.ReadFile(made(t, i))
	must(t, err)
	if !bytes.Equal(a, b) || size != int64(len(b)) {
		t.Errorf("it has %d bytes of %d, %d were foreseen, or others", len(b), len(a), size)
	}
	fails := func(i Image, says string) {
		t.Helper()
		f, err := os.Create(filepath.Join(t.TempDir(), "image.efi"))
		must(t, err)
		defer f.Close()
		if err := i.Write(t.Context(), f); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %q", err, says)
		}
	}
	changed := i
	changed.Cmdline += " init=/bin/sh"
	if changed.Body() == i.Body() || i.Name()+i.Body() != there {
		t.Error("the body does not say what is in it")
	}
	fails(changed, "changed after it was signed")
	changed = i
	changed.Stub = append(bytes.Clone(i.Stub[:len(i.Stub)/2]), append([]byte("x"), i.Stub[len(i.Stub)/2+1:]...)...)
	fails(changed, "changed after it was signed")
	changed = image(t, other)
	if changed.Signature, err = other.SignatureIn(made(t, changed)); err != nil {
		t.Fatal(err)
	}
	changed.Signer = borrows
	fails(changed, "not trusted")
	changed.Signature = []byte("no signature")
	fails(changed, "unknown form")
	changed.Signature = nil
	fails(changed, "no private key here")
}

// What sbsign signs is verified here, too, and a second signature is beside the first.
func TestVerify(t *testing.T) {
	need.Programs(t, "sbsign", "sbverify")
	s, key, certificate := signer(t)
	other, _, theirs := signer(t)
	plain := made(t, image(t, nil))
	if err := s.Verify(plain); !errors.Is(err, ErrUnsigned) {
		t.Errorf("an unsigned one: %v", err)
	}
	out, err := exec.Command("sbsign", "--key", key, "--cert", certificate, "--output", plain, plain).CombinedOutput()
	need.Done(t, err, out)
	must(t, s.Verify(plain))
	f, err := os.OpenFile(plain, os.O_RDWR, 0)
	must(t, err)
	must(t, errors.Join(other.Sign(f), f.Close()))
	for who, cert := range map[string]string{"the first": certificate, "the second": theirs} {
		out, err := exec.Command("sbverify", "--cert", cert, plain).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v: %s", who, err, out)
		}
	}
	must(t, errors.Join(s.Verify(plain), other.Verify(plain)))
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

// Whatever a program's signature is, reading it ends.
func FuzzSignature(f *testing.F) {
	if key, err := rsa.GenerateKey(rand.Reader, 2048); err == nil {
		raw, err1 := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1)}, &x509.Certificate{}, &key.PublicKey, key)
		cert, err2 := x509.ParseCertificate(raw)
		data, err3 := signedData(cert, make([]byte, 32), func(hash []byte) ([]byte, error) { return rsa.SignPKCS1v15(nil, key, crypto.SHA256, hash) })
		if err := errors.Join(err1, err2, err3); err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _ = parse(data)
	})
}

// A stub may come from anybody, with a signature that is verified when the image is there.
func FuzzStub(f *testing.F) {
	data, err := os.ReadFile(stubFile)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data[:1024])
	f.Add(data)
	none := bytes.Clone(data) // of whose sections there is none
	binary.LittleEndian.PutUint16(none[binary.LittleEndian.Uint32(none[0x3c:])+sectionsAt:], 0)
	f.Add(none)
	f.Fuzz(func(t *testing.T, data []byte) {
		_ = Write(io.Discard, data, sections(parts())) // it ends, and does not panic
	})
}
