// Package worktree is for people: it encrypts, opens and encrypts anew the secrets
// of a config repo as it lies in a folder. It makes no commit.
package worktree

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/gitboot/gitboot/internal/nearest"
	"github.com/gitboot/gitboot/reconciler/source"
	"github.com/gitboot/gitboot/secret"
	"github.com/gitboot/gitboot/spec"
)

// A Tree is a config repo in a folder.
type Tree struct {
	root    *os.Root
	secrets []spec.Secret
}

// Open reads the config repo in a folder. Its secrets' files need not be there.
func Open(ctx context.Context, dir string) (*Tree, error) {
	files, err := source.Folder(dir)
	if err != nil {
		return nil, err
	}
	fleet, err := spec.LoadToSeal(ctx, files)
	if err != nil {
		return nil, err
	}
	t := &Tree{}
	if t.secrets, err = fleet.Secrets(ctx); err != nil {
		return nil, err
	}
	if t.root, err = os.OpenRoot(dir); err != nil {
		return nil, err
	}
	return t, nil
}

// Close ends the use of the folder.
func (t *Tree) Close() error { return t.root.Close() }

// Secrets are those that the repo declares, sorted.
func (t *Tree) Secrets() []spec.Secret { return t.secrets }

// An UnknownError says that the repo declares no secret of a name.
type UnknownError struct {
	Name  string
	known []string
}

func (e *UnknownError) Error() string {
	return fmt.Sprintf("the config repo has no secret %q%s; declare it first:\n\n[secret.%s]\nfile     = \"secrets/%s.age\"\nmachines = [\"MACHINE\"]\n",
		e.Name, nearest.Hint(e.Name, e.known), e.Name, e.Name)
}

// Find returns the secrets of these names, all of them if there are none. Its
// error is an *UnknownError.
func (t *Tree) Find(names ...string) (found []spec.Secret, err error) {
	if len(names) == 0 {
		return t.secrets, nil
	}
	byName, known := map[string]spec.Secret{}, []string{}
	for _, s := range t.secrets {
		byName[s.Name], known = s, append(known, s.Name)
	}
	for _, name := range names {
		s, ok := byName[name]
		if !ok {
			return nil, &UnknownError{name, known}
		}
		found = append(found, s)
	}
	return found, nil
}

// Seal encrypts what a secret says and writes its file.
func (t *Tree) Seal(s spec.Secret, plain []byte) error {
	if len(s.Recipients) == 0 {
		return fmt.Errorf("encrypt secret %q: none of its machines has a key, and it has no recipients; give [machine.NAME] a key, as `gitboot secret key` prints it there", s.Name)
	}
	sealed, err := secret.Seal(plain, s.Recipients)
	if err != nil {
		return fmt.Errorf("encrypt secret %q: %w", s.Name, err)
	}
	if err := t.write(s.File, sealed); err != nil {
		return fmt.Errorf("write secret %q: %w", s.Name, err)
	}
	return nil
}

// write replaces a file by a whole one.
func (t *Tree) write(name string, data []byte) error {
	if err := t.root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	temporary := path.Join(path.Dir(name), ".gitboot-tmp-"+path.Base(name))
	f, err := t.root.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = t.root.Rename(temporary, name)
	}
	if err != nil {
		return errors.Join(err, t.root.Remove(temporary))
	}
	return nil
}

// Keys opens a file with private keys. Its error is secret.ErrNotForUs if none of
// them can.
type Keys func(sealed []byte) ([]byte, error)

// Read opens a secret. The caller wipes what it gets.
func (t *Tree) Read(s spec.Secret, with Keys) ([]byte, error) {
	f, err := t.root.Open(s.File)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read secret %q: %w; `gitboot secret encrypt %s` writes it", s.Name, err, s.Name)
	}
	if err != nil {
		return nil, fmt.Errorf("read secret %q: %w", s.Name, err)
	}
	defer f.Close()
	sealed, err := io.ReadAll(io.LimitReader(f, secret.MaxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read secret %q: %w", s.Name, err)
	}
	if _, err := secret.ReadHeader(sealed); err != nil {
		return nil, fmt.Errorf("read secret %q: %s %w", s.Name, s.File, err)
	}
	plain, err := with(sealed)
	if errors.Is(err, secret.ErrNotForUs) {
		err = fmt.Errorf("%w; name a file of private keys with --identity, or ask who can read it: %s", err, readers(s))
	}
	if err != nil {
		return nil, fmt.Errorf("open secret %q: %w", s.Name, err)
	}
	return plain, nil
}

func readers(s spec.Secret) string {
	var who []string
	if len(s.Machines) > 0 {
		who = append(who, strings.Join(s.Machines[:min(len(s.Machines), 10)], ", "))
	}
	if s.Others > 0 {
		who = append(who, fmt.Sprintf("%d besides machines", s.Others))
	}
	return strings.Join(who, ", and ")
}

// Rekey encrypts secrets anew to those who should be able to read them. If one
// cannot be opened, none is written.
func (t *Tree) Rekey(secrets []spec.Secret, with Keys) error {
	plain := make([][]byte, len(secrets))
	defer func() {
		for _, p := range plain {
			secret.Wipe(p)
		}
	}()
	for i, s := range secrets {
		var err error
		if plain[i], err = t.Read(s, with); err != nil {
			return err
		}
	}
	for i, s := range secrets {
		if err := t.Seal(s, plain[i]); err != nil {
			return err
		}
	}
	return nil
}
