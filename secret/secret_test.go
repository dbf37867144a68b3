package secret

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/armor"

	"github.com/gitboot/gitboot/tests/need"
)

// sshKey has ssh-keygen make a key, and returns its file and the identity.
func sshKey(t *testing.T, args ...string) (string, Identity) {
	t.Helper()
	need.Program(t, "ssh-keygen")
	file := filepath.Join(t.TempDir(), "key")
	if out, err := exec.Command("ssh-keygen", append([]string{"-q", "-N", "", "-C", "root@laptop", "-f", file}, args...)...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	ids, err := ParseIdentities(data, nil)
	if err != nil {
		t.Fatal(err)
	}
	public, err := os.ReadFile(file + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	r, err := ParseRecipient(string(public))
	if err != nil || r.String() != ids[0].String() || r.tag != ids[0].tag {
		t.Fatalf("%v: %q is not the public key of %q", err, ids[0].Recipient, r)
	}
	return file, ids[0]
}

func ageKey(t *testing.T) (string, Identity) {
	t.Helper()
	id, data, err := NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "identity")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	ids, err := ParseIdentities(data, nil)
	if err != nil || ids[0].String() != id.String() {
		t.Fatalf("%v, %v", ids, err)
	}
	return file, id
}

// What is sealed here, the program age opens with each key, and the other way
// round, armored or not.
func TestAgeReadsIt(t *testing.T) {
	need.Program(t, "age")
	files, ids, to := []string{}, []Identity{}, []Recipient{}
	add := func(file string, id Identity) {
		files, ids, to = append(files, file), append(ids, id), append(to, id.Recipient)
	}
	add(ageKey(t))
	add(sshKey(t, "-t", "ed25519"))
	add(sshKey(t, "-t", "rsa", "-b", "2048"))
	for _, plain := range []string{"", "hunter2\n", strings.Repeat("0123456789abcdef", 10_000)} {
		sealed, err := Seal([]byte(plain), to)
		if err != nil {
			t.Fatal(err)
		}
		made := filepath.Join(t.TempDir(), "made")
		if err := os.WriteFile(made, sealed, 0o644); err != nil {
			t.Fatal(err)
		}
		for i, file := range files {
			if out, err := exec.Command("age", "-d", "-i", file, made).Output(); err != nil || string(out) != plain {
				t.Errorf("age opens it with %s: %v, %d bytes of %d", to[i], err, len(out), len(plain))
			}
			for _, form := range []string{"", "-a"} {
				args := append(strings.Fields(form), "-r", to[i].String())
				cmd := exec.Command("age", args...)
				cmd.Stdin = strings.NewReader(plain)
				theirs, err := cmd.Output()
				if err != nil {
					t.Fatalf("age %s: %v", args, err)
				}
				if got, err := Open(theirs, []Identity{ids[i]}); err != nil || string(got) != plain {
					t.Errorf("what age%s made for %s: %v, %d bytes of %d", form, to[i], err, len(got), len(plain))
				}
				if h, err := ReadHeader(theirs); err != nil || !h.Compare(to[i:i+1]).None() {
					t.Errorf("age%s: %v, %+v", form, err, h)
				}
			}
		}
	}
}

func TestOpenWithAnotherKey(t *testing.T) {
	_, mine := ageKey(t)
	_, other := ageKey(t)
	_, host := sshKey(t, "-t", "ed25519")
	sealed, err := Seal([]byte("x"), []Recipient{mine.Recipient})
	if err != nil {
		t.Fatal(err)
	}
	for _, ids := range [][]Identity{nil, {other}, {other, host}} {
		if _, err := Open(sealed, ids); !errors.Is(err, ErrNotForUs) {
			t.Errorf("%d others: %v", len(ids), err)
		}
	}
	damaged := bytes.Clone(sealed)
	for i := bytes.LastIndex(sealed, []byte("\n---")) - 30; sealed[i] == damaged[i]; {
		damaged[i] ^= 1
	}
	if plain, err := Open(damaged, []Identity{mine}); err == nil || errors.Is(err, ErrNotForUs) || plain != nil {
		t.Errorf("damaged: %q, %v", plain, err)
	}
}

// A header tells who can read a file as far as that can be told.
func TestCompare(t *testing.T) {
	_, a := ageKey(t)
	_, b := ageKey(t)
	_, c := sshKey(t, "-t", "ed25519")
	_, d := sshKey(t, "-t", "rsa", "-b", "2048")
	set := func(ids ...Identity) (out []Recipient) {
		for _, id := range ids {
			out = append(out, id.Recipient)
		}
		return out
	}
	for name, test := range map[string]struct {
		to, want []Recipient
		missing  []Recipient
		lacking  int
		others   int
	}{
		"all":              {to: set(a, b, c, d), want: set(d, c, b, a)},
		"an ssh key":       {to: set(a, c), want: set(a, c, d), missing: set(d)},
		"the only age key": {to: set(c), want: set(c, a), missing: set(a)},
		"one of two":       {to: set(a, c), want: set(a, b, c), lacking: 1},
		"another age key":  {to: set(a, b), want: set(a), others: 1},
		"another ssh key":  {to: set(a, c, d), want: set(a, c), others: 1},
		"a changed ssh":    {to: set(c), want: set(d), missing: set(d), others: 1},
		"nobody to read":   {to: set(a), want: nil, others: 1},
	} {
		sealed, err := Seal([]byte("x"), test.to)
		if err != nil {
			t.Fatal(err)
		}
		h, err := ReadHeader(sealed)
		if err != nil {
			t.Fatal(err)
		}
		m := h.Compare(test.want)
		if len(m.Missing) != len(test.missing) || len(m.Missing) > 0 && m.Missing[0].String() != test.missing[0].String() || m.Lacking != test.lacking || m.Others != test.others {
			t.Errorf("%s: %+v", name, m)
		}
		if none := test.missing == nil && test.lacking == 0 && test.others == 0; m.None() != none {
			t.Errorf("%s: none is %t", name, m.None())
		}
	}
}

// What is no file of age is told, and so is what no machine could open.
func TestReadHeaderRefuses(t *testing.T) {
	var typed bytes.Buffer
	passphrase, err := age.NewScryptRecipient("hunter2")
	if err != nil {
		t.Fatal(err)
	}
	passphrase.SetWorkFactor(2)
	w, err := age.Encrypt(&typed, passphrase)
	if err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ file, want string }{
		"a text":          {"hunter2\n", "is not a file that age has encrypted"},
		"nothing":         {"", "is not a file that age has encrypted"},
		"cut":             {"age-encryption.org/v1\n-> X25519 ", "is a damaged age file"},
		"cut armor":       {armor.Header + "\nYWdl", "is a damaged age file"},
		"a passphrase":    {typed.String(), "is encrypted with a passphrase"},
		"too large":       {strings.Repeat("x", MaxFile+1), "is larger than 1024 KiB"},
		"too many":        {"age-encryption.org/v1\n" + strings.Repeat("-> X25519 x\n\n", 2000), "is a damaged age file"},
		"no stanzas":      {"age-encryption.org/v1\n--- " + strings.Repeat("A", 43) + "\n", "is a damaged age file"},
		"a long argument": {"age-encryption.org/v1\n-> " + strings.Repeat("x", 1<<19), "is a damaged age file"},
	} {
		if _, err := ReadHeader([]byte(test.file)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParseRecipientRefuses(t *testing.T) {
	_, id := ageKey(t)
	_, weak := sshKey(t, "-t", "ed25519")
	private := strings.Replace(id.String(), "age1", "AGE-SECRET-KEY-1", 1)
	for text, want := range map[string]string{
		"":                                 "is not a key that age encrypts to",
		private:                            "is a private key",
		strings.ToLower(private):           "is a private key",
		"-----BEGIN OPENSSH PRIVATE KEY--": "is a private key",
		"age1" + strings.Repeat("q", 58):   "is not an age recipient",
		"age1pq1xyz":                       "post-quantum",
		"ssh-ed25519 AAAA":                 "is damaged",
		"ecdsa-sha2-nistp256 AAAA":         "is not a key that age encrypts to",
		weak.String() + "\n" + id.String(): "is more than one line",
		"ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAYQDcNYIKPpyCzSMhDdBeW83Bhx6QmwbwYaTzKbQeZsmGCJdhjR6fMgCbTzv3ZBKJ1WXv1AJ9v5o8z3J0rQ5hHYFhQ2Q3Jm8wHqVZ3Kq0kZ1mVn0v1Z2b3y4": "is ",
	} {
		if wrong := WrongRecipient(text); !strings.Contains(wrong, want) || len(text) > 30 && strings.Contains(wrong, text[:30]) {
			t.Errorf("%.40q: %q, want %q", text, wrong, want)
		}
	}
}

func TestLockedKey(t *testing.T) {
	file, id := sshKey(t, "-t", "ed25519")
	if out, err := exec.Command("ssh-keygen", "-q", "-p", "-P", "", "-N", "open", "-f", file).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ParseIdentities(data, nil); !errors.As(err, new(*LockedError)) {
		t.Errorf("without a passphrase: %v", err)
	}
	if _, err := ParseIdentities(data, []byte("wrong")); err == nil {
		t.Error("opened with another passphrase")
	}
	if ids, err := ParseIdentities(data, []byte("open")); err != nil || ids[0].String() != id.String() {
		t.Errorf("with its passphrase: %v, %v", ids, err)
	}
}
