// Package unified makes one program of what is staged, which the firmware starts without
// a boot loader, or systemd-boot with one: kernel, initramfs and command line of a
// generation, signed if there is a key.
package unified

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"

	"github.com/gitboot/gitboot/boot/uki"
	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/reconciler/menu"
	"github.com/gitboot/gitboot/reconciler/state"
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
	image, err := o.image()
	if err != nil {
		return made, err
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
	image.Release = fmt.Sprintf("ID=gitboot\nPRETTY_NAME=%s\nVERSION_ID=%d\n", strconv.Quote(fmt.Sprintf("%s, generation %d", made.Image, made.N)), made.N)
	image.Cmdline = made.Cmdline
	image.Kernel = uki.Part{File: book.Stage.ObjectPath(m.Kernel), SHA256: m.Kernel.SHA256}
	image.Initrd = uki.Part{File: book.Stage.ObjectPath(m.Initramfs), SHA256: m.Initramfs.SHA256}
	f, err := durable.Create(filepath.Dir(to), 0o600)
	if err != nil {
		return made, err
	}
	defer f.Discard()
	if err := image.Write(ctx, f.File); err != nil {
		return made, fmt.Errorf("make a boot image of %s:%d: %w", made.Image, made.N, err)
	}
	return made, f.Publish(to)
}

// image is one without what it is made of but the stub.
func (o Options) image() (i uki.Image, err error) {
	if o.Key != "" {
		if i.Signer, err = uki.LoadSigner(o.Key, o.Certificate); err != nil {
			return i, err
		}
	}
	i.Stub, err = uki.ReadStub(o.Stub)
	return i, err
}

// uncovered says what process 1 enters that the command line does not vouch for: it
// names the manifest by its hash, and that the layers, where they are verified.
func uncovered(m *deployment.Manifest) string {
	if m.Verity == nil || m.Verity.Mode != deployment.VerityEnforce {
		return `its layers are not verified while they are read; declare verity = "enforce"`
	}
	return ""
}
