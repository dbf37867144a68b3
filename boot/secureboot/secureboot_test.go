package secureboot

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/boot/efivar"
	"github.com/gitboot/gitboot/tests/need"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var noon = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

func created(t *testing.T) Folder {
	t.Helper()
	f := Folder(filepath.Join(t.TempDir(), "keys"))
	must(t, f.Create("laptop", "", "", noon))
	return f
}

// openssl verifies what is made; nobody else may read what is private; nothing replaces
// it.
func TestCreate(t *testing.T) {
	need.Programs(t, "openssl")
	f := created(t)
	for _, r := range roles() {
		out, err := exec.Command("openssl", "verify", "-check_ss_sig", "-CAfile", f.Certificate(r), f.Certificate(r)).CombinedOutput()
		need.Done(t, err, out)
		out, err = exec.Command("openssl", "x509", "-noout", "-subject", "-in", f.Certificate(r)).CombinedOutput()
		need.Done(t, err, out)
		if !strings.Contains(string(out), "gitboot "+string(r)+" of laptop") {
			t.Errorf("%s is of %s", r, out)
		}
		if info, err := os.Stat(f.Key(r)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", r, info, err)
		}
	}
	if info, err := os.Stat(string(f)); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder: %v, %v", info, err)
	}
	if err := f.Create("laptop", "", "", noon); !errors.As(err, new(*ExistsError)) {
		t.Errorf("they are replaced: %v", err)
	}
	other := Folder(filepath.Join(t.TempDir(), "other"))
	if err := other.Create("desktop", f.Key(DB), f.Certificate(KEK), noon); err == nil || !strings.Contains(err.Error(), "of another key") {
		t.Errorf("a certificate of another key: %v", err)
	}
	must(t, other.Create("desktop", f.Key(DB), f.Certificate(DB), noon))
	one, err1 := f.Signer()
	two, err2 := other.Signer()
	must(t, errors.Join(err1, err2))
	if !one.Certificate.Equal(two.Certificate) || !two.CanSign() {
		t.Error("the pair that was given is not what signs")
	}
	must(t, os.Remove(other.Key(DB)))
	if two, err := other.Signer(); err != nil || two.CanSign() {
		t.Errorf("without its private key: %v", err)
	}
	if _, err := Folder(t.TempDir()).Signer(); err == nil || !strings.Contains(err.Error(), "gitboot keys create") {
		t.Errorf("without keys: %v", err)
	}
}

// variables stands for a firmware's.
func variables(t *testing.T, values map[string]string) efivar.Folder {
	t.Helper()
	vars := efivar.Folder(t.TempDir())
	for name, data := range values {
		must(t, vars.Write(name, efivar.Global, efivar.Plain, []byte(data)))
	}
	return vars
}

// What is enrolled is what efitools make of the same certificates, and is trusted when a
// firmware has taken it; defaults stay if they are to.
func TestEnroll(t *testing.T) {
	need.Programs(t, "cert-to-efi-sig-list", "sign-efi-sig-list")
	f, maker := created(t), created(t)
	owner, err := f.owner()
	must(t, err)
	list := func(keys Folder, r Role) string {
		file := filepath.Join(t.TempDir(), "list")
		out, err := exec.Command("cert-to-efi-sig-list", "-g", owner.String(), keys.Certificate(r), file).CombinedOutput()
		need.Done(t, err, out)
		data, err := os.ReadFile(file)
		must(t, err)
		return string(data)
	}
	vars := variables(t, map[string]string{"SetupMode": "\x01", "SecureBoot": "\x00", "dbDefault": list(maker, DB), "KEKDefault": list(maker, KEK)})
	updates, err := f.Updates(t.Context(), vars, Others{Defaults: true}, noon)
	must(t, err)
	want := map[Role]string{DB: list(f, DB) + list(maker, DB), KEK: list(f, KEK) + list(maker, KEK), PK: list(f, PK)}
	var order []Role
	for _, u := range updates {
		if order = append(order, u.Role); !bytes.HasSuffix(u.Signed, []byte(want[u.Role])) || len(u.Signed) < len(want[u.Role])+300 {
			t.Errorf("%s is %d bytes, which do not end with %d of lists", u.Role, len(u.Signed), len(want[u.Role]))
		}
	}
	if !slices.Equal(order, []Role{DB, KEK, PK}) {
		t.Errorf("the order is %v: PK has to be last", order)
	}
	must(t, Enroll(vars, updates))
	for r, data := range want { // as a firmware has them then
		must(t, vars.Write(string(r), r.vendor(), efivar.Authenticated, []byte(data)))
	}
	is, err := ReadFirmware(vars)
	must(t, err)
	if trusted, err := f.Trusts(is); err != nil || !trusted || len(is.Trusted) != 5 || len(is.DB()) != 2 || !is.Setup || is.On {
		t.Errorf("%t, %v: %+v", trusted, err, is)
	}
	must(t, vars.Write("SetupMode", efivar.Global, efivar.Plain, []byte{0}))
	if err := Enroll(vars, updates); !errors.Is(err, ErrNoSetup) {
		t.Errorf("with a platform key: %v", err)
	}
	if err := Enroll(efivar.Folder(filepath.Join(t.TempDir(), "none")), updates); err == nil || !strings.Contains(err.Error(), "out of reach") {
		t.Errorf("without UEFI: %v", err)
	}
	if _, err := f.Updates(t.Context(), variables(t, nil), Others{Defaults: true}, noon); err == nil || !strings.Contains(err.Error(), "--only-mine") {
		t.Errorf("without defaults: %v", err)
	}
	must(t, os.Chmod(f.Key(KEK), 0o644))
	if _, err := f.Updates(t.Context(), vars, Others{}, noon); err == nil || !strings.Contains(err.Error(), "chmod") {
		t.Errorf("others may read the key: %v", err)
	}
}

// Whatever firmware has for lists, reading them ends, and what can be read is written
// back as it was.
func FuzzParse(f *testing.F) {
	f.Add(encode(Signature{Data: []byte("certificate")}, Signature{Data: []byte("x")}))
	f.Add([]byte(strings.Repeat("\x00", listHeader)))
	f.Fuzz(func(t *testing.T, data []byte) {
		all, err := Parse(data)
		if err != nil {
			return
		}
		again, err := Parse(encode(all...))
		if err != nil || len(again) != len(all) {
			t.Errorf("%d signatures become %d, %v", len(all), len(again), err)
		}
	})
}
