package sdboot

import (
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/gitboot/gitboot/boot"
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
}

// Unify has each entry of this loader be one program, signed, which is all that the
// firmware starts while Secure Boot is on.
func (l *Loader) Unify(stub []byte, signer *uki.Signer) { l.form.stub, l.form.signer = stub, signer }

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
	return uki.Image{
		Stub: f.stub, Signer: f.signer,
		Release: fmt.Sprintf("ID=gitboot\nPRETTY_NAME=%s\n", strconv.Quote(e.ID)),
		Cmdline: deployment.Line(words),
		Kernel:  part(e.Kernel), Initrd: part(e.Initrd),
	}, nil
}

// check refuses a machine that could sign nothing new.
func (f form) check() error {
	if f.signer == nil || f.signer.CanSign() {
		return nil
	}
	return errors.New("sign what is to boot: there is a certificate and no private key here; put db.key beside it, or make keys of this machine's own with `gitboot keys create`")
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
