package keyring

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/hooks/kind"
	"github.com/gitboot/gitboot/secret"
)

func seal(t *testing.T, to ...Key) []byte {
	t.Helper()
	var keys []secret.Recipient
	for _, key := range to {
		keys = append(keys, key.Recipient)
	}
	sealed, err := secret.Seal([]byte("hunter2"), keys)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

// A machine makes itself one key, and keeps it.
func TestCreate(t *testing.T) {
	k := Keyring{Kept: filepath.Join(t.TempDir(), "secrets")}
	keys, err := k.Create()
	if err != nil || len(keys) == 0 || keys[0].File != k.Own() { // whatever ssh host key this system has
		t.Fatal(keys, err)
	}
	again, err := k.Create()
	if err != nil || again[0].String() != keys[0].String() {
		t.Errorf("%v, then %v: %v", keys, again, err)
	}
	k = Keyring{File: filepath.Join(t.TempDir(), "identity")}
	if _, err := k.Keys(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a named file is missing: %v", err)
	}
	if keys, err = k.Create(); err != nil || len(keys) != 1 || keys[0].File != k.File {
		t.Fatal(keys, err)
	}
	info, err := os.Stat(k.File)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if left, _ := os.ReadDir(filepath.Dir(k.File)); len(left) != 1 {
		t.Errorf("left %v", left)
	}
}

func TestOpenSaysWhichKeyLacks(t *testing.T) {
	mine := Keyring{File: filepath.Join(t.TempDir(), "mine")}
	other := Keyring{File: filepath.Join(t.TempDir(), "other")}
	keys, err := mine.Create()
	if err != nil {
		t.Fatal(err)
	}
	others, err := other.Create()
	if err != nil {
		t.Fatal(err)
	}
	forMe, forOther := seal(t, keys[0]), seal(t, others[0])
	if plain, err := mine.Open(kind.Secret{Name: "wifi", Sealed: forMe, Key: keys[0].String()}); err != nil || string(plain) != "hunter2" {
		t.Errorf("%q, %v", plain, err)
	}
	for name, test := range map[string]struct {
		with   Keyring
		secret kind.Secret
		want   string
	}{
		"not encrypted to it": {mine, kind.Secret{Name: "wifi", Sealed: forOther, Key: keys[0].String()},
			`open secret "wifi": it is not encrypted to ` + keys[0].String() + ", which is this machine's key (" + mine.File + "): run `gitboot secret rekey wifi`"},
		"another in the repo": {mine, kind.Secret{Name: "wifi", Sealed: forOther, Key: others[0].String()},
			"the config repo says that this machine's key is " + others[0].String() + ", and it is " + keys[0].String()},
		"none":    {Keyring{File: filepath.Join(t.TempDir(), "none")}, kind.Secret{Name: "wifi", Sealed: forMe, Key: keys[0].String()}, "no such file"},
		"damaged": {mine, kind.Secret{Name: "wifi", Sealed: []byte(strings.Replace(string(forMe), "\nYWdl", "\nYWdm", 1)), Key: keys[0].String()}, `open secret "wifi": decrypt: `},
	} {
		if plain, err := test.with.Open(test.secret); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %q, %v", name, plain, err)
		}
	}
}

// Who makes what another machine boots opens its secrets with a key of somebody's, and is
// told to name one.
func TestOpenElsewhere(t *testing.T) {
	owners := Keyring{File: filepath.Join(t.TempDir(), "owner")}
	keys, err := owners.Create()
	if err != nil {
		t.Fatal(err)
	}
	s := kind.Secret{Name: "wifi", Sealed: seal(t, keys[0]), Key: "age1machine"}
	k := Keyring{Kept: t.TempDir(), Elsewhere: true}
	if _, err := k.Open(s); err == nil || !strings.Contains(err.Error(), `open secret "wifi": none of the private keys here opens it (`) || !strings.Contains(err.Error(), "name one that does with -i") {
		t.Error(err)
	}
	k.Identities = keys
	if plain, err := k.Open(s); err != nil || string(plain) != "hunter2" {
		t.Errorf("%q, %v", plain, err)
	}
	if left, err := os.ReadDir(k.Kept); err != nil || len(left) > 0 {
		t.Errorf("a key was kept: %v, %v", left, err)
	}
}

// A key that is kept is there as one that was made: for this user alone, and none that
// is there is replaced.
func TestKeep(t *testing.T) {
	made := Keyring{File: filepath.Join(t.TempDir(), "made")}
	other := Keyring{File: filepath.Join(t.TempDir(), "other")}
	keys, err1 := made.Create()
	others, err2 := other.Create()
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	k := Keyring{Kept: filepath.Join(t.TempDir(), "secrets")}
	for range 2 {
		if err := k.Keep(keys[0]); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(k.Own())
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if has, err := k.Has(keys[0].String()); err != nil || !has {
		t.Errorf("%v, %v", has, err)
	}
	if err := k.Keep(others[0]); err == nil || !strings.Contains(err.Error(), k.Own()+" is another; remove it") {
		t.Error(err)
	}
	if holds, err := Holds(k.Own()); err != nil || !holds {
		t.Errorf("an identity is no private key: %v", err)
	}
	public := filepath.Join(k.Kept, "machine-id")
	if err := os.WriteFile(public, []byte(keys[0].String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if holds, err := Holds(public); err != nil || holds {
		t.Errorf("a public key is a private one: %v", err)
	}
	// One that asks for a passphrase is nothing for a machine.
	locked := filepath.Join(t.TempDir(), "locked")
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "open sesame", "-f", locked).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	ids, err := Read(locked, func(string) ([]byte, error) { return []byte("open sesame"), nil })
	if err != nil {
		t.Fatal(err)
	}
	if err := (Keyring{Kept: filepath.Join(t.TempDir(), "secrets")}).Keep(Key{ids[0], locked}); err == nil || !strings.Contains(err.Error(), "protected with a passphrase, which no machine can type") {
		t.Error(err)
	}
}

// What others can read, or could replace, is no private key.
func TestReadRefuses(t *testing.T) {
	k := Keyring{File: filepath.Join(t.TempDir(), "identity")}
	if _, err := k.Create(); err != nil {
		t.Fatal(err)
	}
	for mode, want := range map[fs.FileMode]string{0o644: "everybody may read or write it", 0o602: "everybody may read or write it"} {
		if err := os.Chmod(k.File, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(k.File, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%o: %v", mode, err)
		}
	}
	if err := os.Chmod(k.File, 0o640); err != nil { // as some distributions give ssh host keys to a group
		t.Fatal(err)
	}
	if _, err := Read(k.File, nil); err != nil {
		t.Error(err)
	}
	if _, err := Read(filepath.Dir(k.File), nil); err == nil || !strings.Contains(err.Error(), "no regular file") {
		t.Errorf("a folder: %v", err)
	}
	for text, want := range map[string]string{strings.Repeat("x", maxKey+1): "larger than 64 KiB", "": "neither an age identity", "hunter2": "neither an age identity"} {
		if err := os.WriteFile(k.File, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(k.File, nil); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%.10s: %v", text, err)
		}
	}
}

// What the stage keeps is the same whatever boots, and comes first.
func TestPlaces(t *testing.T) {
	k := Keyring{Kept: "/stage/secrets"}
	got := strings.Join(k.Places(), " ")
	if want := "/stage/secrets/identity /stage/secrets/ssh_host_ed25519_key /etc/ssh/ssh_host_ed25519_key /stage/secrets/ssh_host_rsa_key /etc/ssh/ssh_host_rsa_key"; got != want {
		t.Errorf("got %s", got)
	}
}
