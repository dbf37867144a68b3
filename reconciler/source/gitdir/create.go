package gitdir

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"syscall"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/gitboot/gitboot/reconciler/source/ref"
)

// Create adds a commit, whose tree and parents the repo has, and a branch of it that
// is not there yet; one that names the commit already is left. What is made belongs to
// who owns the repo's objects, and lies below the repo whatever links are in it.
func (r *Repo) Create(common string, branch plumbing.ReferenceName, commit []byte) error {
	hash := plumbing.ComputeHash(plumbing.CommitObject, commit)
	switch have, err := r.Reference(branch); {
	case err == nil && have.Hash() == hash:
		return nil
	case err == nil:
		return &ref.TakenError{At: have.Hash()}
	case !errors.Is(err, plumbing.ErrReferenceNotFound):
		return err
	}
	root, err := os.OpenRoot(common)
	if err != nil {
		return err
	}
	defer root.Close()
	info, err := root.Stat("objects")
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("who owns %s is not known", common)
	}
	m := maker{root, int(owner.Uid), int(owner.Gid)}
	name, data, err := Loose(plumbing.CommitObject, commit)
	if err != nil {
		return err
	}
	if err := m.file(name, data, 0o444); err != nil {
		return err
	}
	return m.file(branch.String(), []byte(hash.String()+"\n"), 0o644)
}

// Loose is the file of an object that has one of its own, by its name in a repo (git's
// Documentation/gitrepository-layout).
func Loose(kind plumbing.ObjectType, content []byte) (name string, data []byte, err error) {
	hex := plumbing.ComputeHash(kind, content).String()
	var packed bytes.Buffer
	z := zlib.NewWriter(&packed)
	_, err = fmt.Fprintf(z, "%s %d\x00%s", kind, len(content), content)
	err = errors.Join(err, z.Close())
	return path.Join("objects", hex[:2], hex[2:]), packed.Bytes(), err
}

// A maker makes files of a repo's owner.
type maker struct {
	root     *os.Root
	uid, gid int
}

// file makes a file in one step, if it is not there.
func (m maker) file(name string, data []byte, mode fs.FileMode) error {
	if _, err := m.root.Lstat(name); err == nil {
		return nil
	}
	if err := m.dir(path.Dir(name)); err != nil {
		return err
	}
	temp := name + ".lock" // which git heeds
	f, err := m.root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chown(m.uid, m.gid), f.Sync(), f.Close())
	if err == nil {
		err = m.root.Rename(temp, name)
	}
	if err != nil {
		return errors.Join(err, m.root.Remove(temp))
	}
	return nil
}

// dir makes a folder and those above it.
func (m maker) dir(name string) error {
	if _, err := m.root.Stat(name); err == nil || name == "." {
		return nil
	}
	if err := m.dir(path.Dir(name)); err != nil {
		return err
	}
	if err := m.root.Mkdir(name, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return m.root.Lchown(name, m.uid, m.gid)
}
