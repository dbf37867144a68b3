package secureboot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gitboot/gitboot/boot/efivar"
	"github.com/gitboot/gitboot/boot/uki"
	"github.com/gitboot/gitboot/internal/program"
)

// Others are whose else programs are trusted, besides this folder's.
type Others struct {
	// Certificates are files in PEM form.
	Certificates []string
	// Defaults has what the firmware's maker put there stay trusted: devices bring
	// programs that Microsoft has signed, without which there may be no screen.
	Defaults bool
}

// An Update is what a firmware is told of one of its variables: as efivarfs takes it,
// and as systemd-boot does, from NAME.auth.
type Update struct {
	Role   Role
	Signed []byte
}

// Updates are those that have a firmware trust what these keys sign, in the order in
// which it takes them: who may change the others comes last, because it ends setup
// mode. vars is where defaults are read.
func (f Folder) Updates(ctx context.Context, vars efivar.Folder, o Others, at time.Time) (all []Update, err error) {
	for _, r := range []Role{DB, KEK, PK} {
		list, err := f.list(r, vars, o)
		if err != nil {
			return nil, fmt.Errorf("enroll %s: %w", r, err)
		}
		signed, err := f.sign(ctx, r, list, at)
		if err != nil {
			return nil, fmt.Errorf("enroll %s: %w", r, err)
		}
		all = append(all, Update{r, signed})
	}
	return all, nil
}

// list is what a variable is to hold.
func (f Folder) list(r Role, vars efivar.Folder, o Others) ([]byte, error) {
	owner, err := f.owner()
	if err != nil {
		return nil, err
	}
	files := []string{f.Certificate(r)}
	if r == DB {
		files = append(files, o.Certificates...)
	}
	var list []byte
	for _, file := range files {
		c, err := uki.ReadCertificate(file)
		if err != nil {
			return nil, err
		}
		list = append(list, certificate(owner, c.Raw)...)
	}
	if r == PK || !o.Defaults {
		return list, nil
	}
	more, err := vars.Read(string(r)+"Default", efivar.Global)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the firmware does not tell what its maker trusts (%sDefault); give the certificates that are to stay with --trust, or --only-mine", r)
	}
	if err != nil {
		return nil, err
	}
	if _, err := Parse(more); err != nil {
		return nil, fmt.Errorf("read the firmware's %sDefault: %w", r, err)
	}
	return append(list, more...), nil
}

// sign signs what a variable is to hold with the key that may change it.
func (f Folder) sign(ctx context.Context, r Role, list []byte, at time.Time) ([]byte, error) {
	by := map[Role]Role{PK: PK, KEK: PK, DB: KEK}[r]
	if err := uki.CheckPrivate(f.Key(by)); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "gitboot-keys-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	from, to := filepath.Join(dir, "list"), filepath.Join(dir, "auth")
	if err := os.WriteFile(from, list, 0o600); err != nil {
		return nil, err
	}
	out, err := program.Command(ctx, "sign-efi-sig-list", "-t", at.UTC().Format(time.DateTime), "-k", f.Key(by), "-c", f.Certificate(by), string(r), from, to).CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		return nil, errors.New("there is no sign-efi-sig-list; install efitools")
	}
	if err != nil {
		return nil, fmt.Errorf("sign-efi-sig-list: %w: %.300q", err, strings.TrimSpace(string(out)))
	}
	return os.ReadFile(to)
}

// ErrNoSetup is that of a firmware which takes no keys.
var ErrNoSetup = errors.New("the firmware is not in setup mode, in which it takes keys; clear its platform key in its setup (\"reset to setup mode\", \"delete all Secure Boot keys\"), and come back")

// Enroll has the firmware of this machine trust what these updates say, from the next
// start on.
func Enroll(vars efivar.Folder, updates []Update) error {
	is, err := ReadFirmware(vars)
	if err != nil {
		return err
	}
	if !is.Setup {
		return ErrNoSetup
	}
	for _, u := range updates {
		if err := vars.Write(string(u.Role), u.Role.vendor(), efivar.Authenticated, u.Signed); err != nil {
			return fmt.Errorf("%w; what was written before it stays, and changes nothing while there is no platform key", err)
		}
	}
	return nil
}

// Trusts reports whether a firmware trusts what the key in db signs.
func (f Folder) Trusts(is Firmware) (bool, error) {
	c, err := uki.ReadCertificate(f.Certificate(DB))
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(is.DB(), c.Equal), nil
}

// File is how an update's file is called.
func (u Update) File() string { return string(u.Role) + ".auth" }
