package uki

import (
	"context"
	"debug/pe"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"

	"github.com/gitboot/gitboot/internal/owned"
	"github.com/gitboot/gitboot/internal/program"
)

// A Signer signs with a private key and its certificate, files in PEM form.
type Signer struct{ Key, Certificate string }

// Check refuses a key that others may read, or could replace.
func (s Signer) Check() error {
	for _, file := range []string{s.Key, s.Certificate} {
		if err := owned.Check(file); err != nil {
			return fmt.Errorf("sign a boot image: %w", err)
		}
	}
	info, err := os.Stat(s.Key)
	if err == nil && info.Mode().Perm()&0o077 != 0 {
		err = &fs.PathError{Op: "read", Path: s.Key, Err: errors.New("others may read this private key; chmod it to 0600")}
	}
	if err == nil {
		_, err = os.Stat(s.Certificate)
	}
	if err != nil {
		return fmt.Errorf("sign a boot image: %w", err)
	}
	return nil
}

// Sign writes a signed copy of an image.
func (s Signer) Sign(ctx context.Context, image, signed string) error {
	if err := s.Check(); err != nil {
		return err
	}
	out, err := program.Command(ctx, "sbsign", "--key", s.Key, "--cert", s.Certificate, "--output", signed, image).CombinedOutput()
	if err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			return errors.New("sign a boot image: there is no sbsign; install sbsigntool")
		}
		return fmt.Errorf("sign a boot image with %s: %w: %.300q", s.Key, err, strings.TrimSpace(string(out)))
	}
	if ok, err := Signed(signed); err != nil || !ok {
		return errors.Join(fmt.Errorf("sign a boot image with %s: sbsign has left no signature", s.Key), err)
	}
	return nil
}

// Signed reports whether a program of the firmware's carries a signature: an entry in
// the table of certificates (PE format, "The Attribute Certificate Table"). Whose it is,
// is not looked at.
func Signed(path string) (bool, error) {
	f, err := pe.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	header, ok := f.OptionalHeader.(*pe.OptionalHeader64)
	return ok && header.DataDirectory[pe.IMAGE_DIRECTORY_ENTRY_SECURITY].Size > 0, nil
}
