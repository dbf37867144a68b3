// Package unified makes one program of what is staged, which the firmware starts without
// a boot loader, or systemd-boot with one: kernel, initramfs and command line of a
// generation, signed if there is a key.
package unified

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gitboot/gitboot/boot/uki"
	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/internal/ctxio"
	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/reconciler/menu"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/stage"
)

// Options say how it is made.
type Options struct {
	// Stub is the file of systemd-stub.
	Stub string
	// Key and Certificate are files of what signs, "" for nobody.
	Key, Certificate string
}

// A Made is what was made.
type Made struct {
	state.Found
	Cmdline string
	// Uncovered says what of the deployment no signature covers, "" if all is.
	Uncovered string
}

// Write makes one of a generation, by its name. The file is there when it is whole.
func Write(ctx context.Context, book *menu.Book, name string, o Options, to string) (made Made, err error) {
	signer := uki.Signer{Key: o.Key, Certificate: o.Certificate}
	if o.Key != "" {
		if err := signer.Check(); err != nil {
			return made, err
		}
	}
	doc, err := state.LoadMachine(book.Stage.Dir())
	if err != nil {
		return made, err
	}
	if made.Found, err = doc.Find(name); err != nil {
		return made, err
	}
	m, err := book.Stage.Deployment(made.Deployment)
	if err != nil {
		return made, err
	}
	at, err := book.Locate(ctx)
	if err != nil {
		return made, err
	}
	e := menu.Entry(made.Image, doc.Machine, made.Generation, m, at)
	words, err := deployment.Words(e.Kernel, e.Args)
	if err := errors.Join(err, e.Check(at)); err != nil {
		return made, err
	}
	made.Cmdline, made.Uncovered = deployment.Line(words), uncovered(m)
	f, err := durable.Create(filepath.Dir(to), 0o600)
	if err != nil {
		return made, err
	}
	defer f.Discard()
	if err := write(ctx, f, book.Stage, m, made, o.Stub); err != nil {
		return made, fmt.Errorf("make a boot image of %s:%d: %w", made.Image, made.N, err)
	}
	if o.Key == "" {
		return made, f.Publish(to)
	}
	return made, sign(ctx, signer, f, to)
}

// uncovered says what process 1 enters that the command line does not vouch for: it
// names the manifest by its hash, and that the layers, where they are verified.
func uncovered(m *deployment.Manifest) string {
	if m.Verity == nil || m.Verity.Mode != deployment.VerityEnforce {
		return `its layers are not verified while they are read; declare verity = "enforce"`
	}
	return ""
}

// write writes the image into a file.
func write(ctx context.Context, f *durable.File, st *stage.Stage, m *deployment.Manifest, made Made, stub string) error {
	code, err := readStub(stub)
	if err != nil {
		return err
	}
	release := fmt.Sprintf("ID=gitboot\nPRETTY_NAME=%s\nVERSION_ID=%d\n", strconv.Quote(fmt.Sprintf("%s, generation %d", made.Image, made.N)), made.N)
	sections := []uki.Section{text(".osrel", release), text(".cmdline", made.Cmdline)}
	var checks []*check
	for _, part := range []struct {
		name   string
		object deployment.Object
	}{{".initrd", m.Initramfs}, {".linux", m.Kernel}} {
		in, err := os.Open(st.ObjectPath(part.object))
		if err != nil {
			return err
		}
		defer in.Close()
		c := &check{object: part.object, sum: sha256.New()}
		checks = append(checks, c)
		sections = append(sections, uki.Section{Name: part.name, Size: part.object.Size, Data: io.TeeReader(ctxio.Reader(ctx, in), c.sum)})
	}
	if err := uki.Write(f, code, sections); err != nil {
		return err
	}
	for _, c := range checks {
		if got := hex.EncodeToString(c.sum.Sum(nil)); got != c.object.SHA256 {
			return fmt.Errorf("object %.12s has other content than its name says; `gitboot stage verify` finds all such", c.object.SHA256)
		}
	}
	return nil
}

// A check is of an object that is copied.
type check struct {
	object deployment.Object
	sum    hash.Hash
}

func text(name, content string) uki.Section {
	return uki.Section{Name: name, Size: int64(len(content)), Data: strings.NewReader(content)}
}

func readStub(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%w; install systemd-boot-efi, or name another with --stub", err)
	}
	defer f.Close()
	code, err := io.ReadAll(io.LimitReader(f, uki.MaxStub+1))
	if err == nil && len(code) > uki.MaxStub {
		err = fmt.Errorf("%s is longer than any stub", path)
	}
	return code, err
}

// sign publishes a signed copy of what is in a temporary file.
func sign(ctx context.Context, s uki.Signer, f *durable.File, to string) error {
	signed, err := durable.Create(filepath.Dir(to), 0o600)
	if err != nil {
		return err
	}
	defer signed.Discard()
	if err := errors.Join(f.Sync(), s.Sign(ctx, f.Name(), signed.Name())); err != nil {
		return err
	}
	return signed.Publish(to)
}
