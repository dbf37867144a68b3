package sdboot

import (
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/boot/presigned"
	"github.com/gitboot/gitboot/boot/uki"
	"github.com/gitboot/gitboot/deployment"
)

// A form is what entries start: kernels with their initramfs or, if there is a signer,
// one signed program each.
type form struct {
	// stage is the stage's folder.
	stage  string
	stub   []byte
	signer *uki.Signer
	// got are the signatures that a signer without the key has got.
	got presigned.Folder
}

// Unify has each entry of this loader be one program, signed, which is all that the
// firmware starts while Secure Boot is on. A signer without the key takes what was got of
// who has it.
func (l *Loader) Unify(stub []byte, signer *uki.Signer, got presigned.Folder) {
	l.form.stub, l.form.signer, l.form.got = stub, signer, got
}

// image is what the program of an entry is made of. Nothing in it changes as long as the
// entry's command line does not: what else an entry says is in its file.
func (f form) image(stage boot.Filesystem, e boot.Entry) (uki.Image, error) {
	words, err := deployment.Words(path.Join(stage.Path, e.Kernel), e.Args)
	if err != nil {
		return uki.Image{}, err
	}
	part := func(object string) uki.Part {
		return uki.Part{File: filepath.Join(f.stage, filepath.FromSlash(object)), SHA256: path.Base(object)}
	}
	image := uki.Image{
		Stub: f.stub, Signer: f.signer,
		Release: fmt.Sprintf("ID=gitboot\nPRETTY_NAME=%s\n", strconv.Quote(e.ID)),
		Cmdline: deployment.Line(words),
		Kernel:  part(e.Kernel), Initrd: part(e.Initrd),
	}
	if f.signer.CanSign() {
		return image, nil
	}
	got, err := f.got.Find(image.Body())
	if got != nil {
		image.Stub, image.Signature = got.Stub, got.Signature
	}
	return image, err
}

// A Program is what an entry starts, and where it lies.
type Program struct {
	uki.Image
	File string
}

// ProgramOf is the one of an entry, nil where entries are no programs.
func ProgramOf(l *Loader, stage boot.Filesystem, e boot.Entry) (*Program, error) {
	if l.form.signer == nil {
		return nil, nil
	}
	image, err := l.form.image(stage, e)
	return &Program{image, filepath.Join(l.copies().Dir, image.Name())}, err
}

// Borrows reports whether what entries start is signed elsewhere.
func Borrows(l *Loader) bool { return l.form.signer != nil && !l.form.signer.CanSign() }

// Startable reports whether what an entry starts is there, or can be made and signed.
func Startable(l *Loader, stage boot.Filesystem, e boot.Entry) (bool, error) {
	p, err := ProgramOf(l, stage, e)
	if err != nil || p == nil || p.Signer.CanSign() || p.Signature != nil {
		return err == nil, err
	}
	return p.Check(p.File) == nil, nil
}

// lines are those of an entry that say what it starts. A program has its command line
// in it.
func (f form) lines(stage boot.Filesystem, e boot.Entry) ([]string, error) {
	words, err := deployment.Words(copyOf(e.Kernel), e.Args)
	if err != nil {
		return nil, err
	}
	if f.signer != nil {
		image, err := f.image(stage, e)
		return []string{efiKey + " " + copyOf(image.Name())}, err
	}
	lines := []string{linuxKey + " " + copyOf(e.Kernel), "initrd " + copyOf(e.Initrd)}
	if len(words) > 0 {
		lines = append(lines, "options "+deployment.Line(words))
	}
	return lines, nil
}

// Programs are the files that the firmware starts of a boot loader, and that starts of
// ours: those which have to be signed where Secure Boot is on.
func Programs(l *Loader) (files []string, err error) {
	for _, glob := range []string{"EFI/BOOT/BOOT*.EFI", "EFI/systemd/systemd-boot*.efi"} {
		found, err := filepath.Glob(filepath.Join(l.esp, glob))
		if err != nil {
			return nil, err
		}
		files = append(files, found...)
	}
	entries, err := l.files()
	if err != nil {
		return nil, err
	}
	for _, f := range entries {
		for _, key := range []string{efiKey, linuxKey} {
			if path := value(f.text, key); path != "" {
				files = append(files, filepath.Join(l.boot, filepath.FromSlash(path)))
			}
		}
	}
	slices.Sort(files)
	return slices.Compact(files), nil
}
