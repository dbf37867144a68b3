package sdboot

import (
	"bytes"
	"context"
	"crypto/sha256"
	"debug/pe"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/boot/loader"
	"github.com/gitboot/gitboot/boot/loader/suite"
	"github.com/gitboot/gitboot/boot/presigned"
	"github.com/gitboot/gitboot/boot/secureboot"
	"github.com/gitboot/gitboot/boot/uki"
	"github.com/gitboot/gitboot/tests/need"
)

// unify has a loader's entries be signed programs.
func unify(t *testing.T, l *Loader) *uki.Signer {
	t.Helper()
	keys := secureboot.Folder(filepath.Join(t.TempDir(), "keys"))
	must(t, keys.Create("test", "", "", time.Now()))
	signer, err := keys.Signer()
	must(t, err)
	stub, err := uki.ReadStub(uki.Stub(""))
	must(t, err)
	l.Unify(stub, signer, presigned.Folder(filepath.Join(t.TempDir(), "signed")))
	return signer
}

// Entries that are programs are published, counted and told as others are.
func TestUnified(t *testing.T) {
	unified := func(t *testing.T) *Loader {
		l := open(t)
		unify(t, l)
		return l
	}
	suite.Run(t, func(t *testing.T) loader.Loader { return unified(t) })
	suite.RunMemory(t, func(t *testing.T) suite.Counting { return &published{Loader: unified(t)} }, suite.Way{InNames: true}, func(t *testing.T, l suite.Counting, how suite.Boot) string {
		p := l.(*published)
		for _, e := range p.menu.All() {
			if e.Kernel == how.Lost { // and with it the program
				image, err := p.form.image(p.menu.Stage, e)
				must(t, err)
				how.Lost = image.Name()
			}
		}
		return model{p.Loader, how}.boot(t)
	})
}

// A published loader knows the menu that it has published.
type published struct {
	*Loader
	menu boot.Menu
}

func (p *published) Publish(ctx context.Context, m boot.Menu) error {
	p.menu = m
	return p.Loader.Publish(ctx, m)
}

// So are the programs, in place of copies, which hold what copies would.
func TestUnifiedCopies(t *testing.T) {
	suite.RunCopies(t, func(t *testing.T) suite.Machine {
		esp := filepath.Join(t.TempDir(), "esp")
		need.Filesystem(t, esp, suite.BootSize, "defaults", "mkfs.ext4", "-q", "-m", "0", "-O", "^has_journal")
		install(t, esp)
		stage := t.TempDir()
		l, err := Open(esp, stage)
		must(t, err)
		unify(t, l)
		return suite.Machine{Loader: l, Stage: stage, At: suite.Stage, Boot: esp, Parts: sections}
	})
}

// sections are those of a program that hold a stage's objects.
func sections(data []byte) (parts [][]byte) {
	f, err := pe.NewFile(bytes.NewReader(data))
	if err != nil {
		return nil
	}
	for _, s := range f.Sections {
		if s.Name != ".linux" && s.Name != ".initrd" {
			continue
		}
		if part, err := s.Data(); err == nil {
			parts = append(parts, part[:s.VirtualSize])
		}
	}
	return parts
}

// What is published is signed, and stays as it is whatever becomes of it: on trial, good,
// the fallback. Who has a certificate and no key keeps what there is, and makes what was
// signed elsewhere.
func TestUnifiedOnce(t *testing.T) {
	l := open(t)
	signer := unify(t, l)
	m := fleet()
	for _, e := range m.Images[0].Entries {
		for _, p := range []string{e.Kernel, e.Initrd} {
			file := filepath.Join(l.form.stage, p)
			must(t, errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(p), 0o600)))
		}
	}
	for i := range m.Images[0].Entries { // whose names are their hashes
		e := &m.Images[0].Entries[i]
		for _, p := range []*string{&e.Kernel, &e.Initrd} {
			sum := sha256.Sum256([]byte(*p))
			to := "objects/sha256/" + hex.EncodeToString(sum[:])
			must(t, os.Rename(filepath.Join(l.form.stage, *p), filepath.Join(l.form.stage, to)))
			*p = to
		}
		e.Args = []string{"gitboot.deployment=" + e.ID}
	}
	programs := func() (infos []os.FileInfo) {
		all, err := os.ReadDir(filepath.Join(l.boot, copiesDir))
		must(t, err)
		for _, e := range all {
			must(t, signer.Verify(filepath.Join(l.boot, copiesDir, e.Name())))
			info, err := e.Info()
			must(t, err)
			infos = append(infos, info)
		}
		return infos
	}
	must(t, l.Publish(t.Context(), m))
	before := programs()
	m.Choose(m.Fallback)
	must(t, l.Publish(t.Context(), m))
	m.Mode, m.Default, m.Fallback = boot.ModeMenu, "", ""
	must(t, l.Publish(t.Context(), m))
	after := programs()
	if len(before) != 2 || len(after) != 2 || !os.SameFile(before[0], after[0]) || !os.SameFile(before[1], after[1]) {
		t.Errorf("there were %d programs, and are %d, or others", len(before), len(after))
	}
	must(t, l.Check(t.Context(), suite.Stage))
	l.form.signer = &uki.Signer{Certificate: signer.Certificate}
	if why, err := l.Stale(t.Context(), m); why != "" || err != nil {
		t.Errorf("without the private key what there is is stale: %q, %v", why, err)
	}
	must(t, l.Check(t.Context(), suite.Stage))
	e := m.Images[0].Entries[0]
	p, err := ProgramOf(l, suite.Stage, e)
	must(t, err)
	signature, err := signer.SignatureIn(p.File)
	must(t, err)
	must(t, os.Remove(p.File))
	if starts, err := Startable(l, suite.Stage, e); starts || err != nil {
		t.Errorf("what nobody has signed starts: %v, %v", starts, err)
	}
	if err := l.Publish(t.Context(), m); err == nil || !strings.Contains(err.Error(), "no private key here") {
		t.Errorf("without the private key: %v", err)
	}
	must(t, l.form.got.Keep(presigned.Signature{Body: p.Body(), Deployment: strings.Repeat("0", 64), Stub: p.Stub, Signature: signature}))
	must(t, l.Publish(t.Context(), m))
	if after := programs(); len(after) != 2 {
		t.Errorf("with what was signed elsewhere there are %d programs", len(after))
	}
	all, err := Programs(l)
	if err != nil || len(all) != 3 { // systemd-boot's own, and both entries'
		t.Errorf("%q, %v", all, err)
	}
}
