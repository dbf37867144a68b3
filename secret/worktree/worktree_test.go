package worktree

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/secret"
)

// tree is a config repo with secrets that Ada can read, and a machine.
func tree(t *testing.T, names ...string) (dir string, opened *Tree, ada secret.Identity) {
	t.Helper()
	dir = t.TempDir()
	ada, _, err := secret.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("[image.a]\npull = \"a\"\n[machine.m]\nimages = [\"a\"]\n[defaults.secret]\nrecipients = [%q]\n", ada)
	for _, name := range names {
		text += fmt.Sprintf("[secret.%[1]s]\nfile = \"secrets/%[1]s.age\"\nmachines = [\"m\"]\n", name)
	}
	if err := os.WriteFile(filepath.Join(dir, "gitboot.toml"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if opened, err = Open(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { opened.Close() })
	return dir, opened, ada
}

func with(ids ...secret.Identity) Keys {
	return func(sealed []byte) ([]byte, error) { return secret.Open(sealed, ids) }
}

// Where one secret cannot be opened, none is encrypted anew.
func TestRekeyIsAllOrNothing(t *testing.T) {
	dir, tr, ada := tree(t, "mine", "other")
	found, err := tr.Find()
	if err != nil || len(found) != 2 {
		t.Fatal(found, err)
	}
	for _, s := range found {
		if err := tr.Seal(s, []byte(s.Name)); err != nil {
			t.Fatal(err)
		}
	}
	stranger, _, err := secret.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := secret.Seal([]byte("x"), []secret.Recipient{stranger.Recipient})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "secrets/other.age"), sealed, 0o644); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(filepath.Join(dir, "secrets/mine.age"))
	if err != nil {
		t.Fatal(err)
	}
	if err := tr.Rekey(found, with(ada)); !errors.Is(err, secret.ErrNotForUs) || !strings.Contains(err.Error(), `open secret "other"`) {
		t.Errorf("%v", err)
	}
	if after, err := os.ReadFile(filepath.Join(dir, "secrets/mine.age")); err != nil || string(after) != string(before) {
		t.Errorf("mine was written: %v", err)
	}
	if err := tr.Rekey(found, with(ada, stranger)); err != nil {
		t.Fatal(err)
	}
	if plain, err := tr.Read(found[1], with(ada)); err != nil || string(plain) != "x" {
		t.Errorf("%q, %v", plain, err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "secrets/.*")); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

// A folder of the repo that leads out of it is not written to.
func TestSealStaysInTheRepo(t *testing.T) {
	dir, tr, _ := tree(t, "mine")
	outside := t.TempDir()
	if err := os.Symlink(outside, filepath.Join(dir, "secrets")); err != nil {
		t.Fatal(err)
	}
	if err := tr.Seal(tr.Secrets()[0], []byte("x")); err == nil {
		t.Error("it was written")
	}
	if left, _ := os.ReadDir(outside); len(left) > 0 {
		t.Errorf("outside there is %v", left)
	}
}

func TestFindNamesWhatToDeclare(t *testing.T) {
	_, tr, _ := tree(t, "wifi")
	_, err := tr.Find("wify")
	if unknown := (*UnknownError)(nil); !errors.As(err, &unknown) || !strings.Contains(err.Error(), `(did you mean "wifi"?)`) || !strings.Contains(err.Error(), "[secret.wify]") {
		t.Errorf("%v", err)
	}
}

// However an editor ends, what it was given is gone.
func TestEditLeavesNothing(t *testing.T) {
	_, tr, _ := tree(t, "wifi")
	s, notes := tr.Secrets()[0], t.TempDir()
	script := func(body string) []string {
		file := filepath.Join(t.TempDir(), "editor")
		if err := os.WriteFile(file, []byte("#!/bin/sh\necho $1 > "+notes+"/where\n"+body), 0o755); err != nil {
			t.Fatal(err)
		}
		return []string{"sh", file}
	}
	stopped, stop := context.WithCancel(t.Context())
	defer stop()
	for name, test := range map[string]struct {
		ctx     context.Context
		editor  []string
		changed string
		err     error
	}{
		"changes":  {t.Context(), script("echo new > $1; cp $1 $1~"), "new\n", nil},
		"leaves":   {t.Context(), script(""), "", ErrUnchanged},
		"fails":    {t.Context(), script("echo new > $1; exit 3"), "", nil},
		"is ended": {stopped, script("echo here > " + notes + "/begun; exec sleep 600"), "", context.Canceled},
	} {
		if name == "is ended" {
			go func() {
				for {
					if _, err := os.Stat(notes + "/begun"); err == nil {
						stop()
						return
					}
				}
			}()
		}
		changed, err := Edit(test.ctx, s, []byte("old\n"), test.editor)
		if string(changed) != test.changed || test.err != nil && !errors.Is(err, test.err) || test.err == nil && (err == nil) != (test.changed != "") {
			t.Errorf("%s: %q, %v", name, changed, err)
		}
		where, err := os.ReadFile(notes + "/where")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Dir(strings.TrimSpace(string(where)))); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %s is still there", name, where)
		}
	}
}
