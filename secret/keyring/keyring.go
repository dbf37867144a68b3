// Package keyring knows where this machine's private keys lie, by which it opens
// the secrets of the config repo. They are read when something is to be opened,
// and not kept, but for those that somebody has named for once.
package keyring

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/hooks/kind"
	"github.com/gitboot/gitboot/internal/owned"
	"github.com/gitboot/gitboot/secret"
)

// maxKey bounds a file of private keys.
const maxKey = 64 << 10

// A Keyring is where the keys may lie.
type Keyring struct {
	// File is what agent.toml names; "" is the places that are usual.
	File string
	// Kept is the folder in which the stage keeps what is made once.
	Kept string
	// Identities are private keys that somebody has named besides.
	Identities []Key
	// Elsewhere says that what is opened is for a machine that is made here, and this
	// computer is another.
	Elsewhere bool
}

// Own is the identity that gitboot makes where a machine has no other.
func (k Keyring) Own() string {
	if k.File != "" {
		return k.File
	}
	return filepath.Join(k.Kept, "identity")
}

// Places are the files that are looked at, in order. What the stage keeps comes
// first: it is the same whatever boots.
func (k Keyring) Places() []string {
	if k.File != "" {
		return []string{k.File}
	}
	places := []string{k.Own()}
	for _, name := range []string{"ssh_host_ed25519_key", "ssh_host_rsa_key"} {
		places = append(places, filepath.Join(k.Kept, name), filepath.Join("/etc/ssh", name))
	}
	return places
}

// A Key is an identity, and where it lies.
type Key struct {
	secret.Identity
	File string
}

// Keys reads the machine's identities. None is no error, but that the file which
// agent.toml names is not there.
func (k Keyring) Keys() (keys []Key, err error) {
	for _, file := range k.Places() {
		ids, err := Read(file, nil)
		if k.File == "" && (errors.Is(err, fs.ErrNotExist) || k.Elsewhere && errors.Is(err, fs.ErrPermission)) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			keys = append(keys, Key{id, file})
		}
	}
	return keys, nil
}

// Read reads a file of identities that nobody else may read or replace. If ask is
// not nil, it is asked for the passphrase of a file that has one.
func Read(file string, ask func(file string) ([]byte, error)) ([]secret.Identity, error) {
	data, err := private(file)
	if err != nil {
		return nil, fmt.Errorf("read the identity %s: %w", file, err)
	}
	defer secret.Wipe(data)
	ids, err := secret.ParseIdentities(data, nil)
	if errors.As(err, new(*secret.LockedError)) && ask != nil {
		var passphrase []byte
		if passphrase, err = ask(file); err == nil {
			ids, err = secret.ParseIdentities(data, passphrase)
		}
		secret.Wipe(passphrase)
	}
	if err != nil {
		return nil, fmt.Errorf("read the identity %s: %w", file, err)
	}
	return ids, nil
}

// Holds reports whether one of the files that this machine keeps holds a private key.
func Holds(file string) (bool, error) {
	f, err := os.Open(file)
	if err != nil {
		return false, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxKey))
	defer secret.Wipe(data)
	return secret.Private(data), err
}

// private reads a small file into memory that can be wiped.
func private(file string) ([]byte, error) {
	f, err := os.OpenFile(file, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errors.New("it is no regular file")
	case info.Mode().Perm()&0o007 != 0:
		return nil, errors.New("everybody may read or write it; run `chmod 600` on it, and make a new one if this machine has other users")
	}
	if err := owned.Check(file); err != nil {
		return nil, err
	}
	data := make([]byte, maxKey)
	n, err := io.ReadFull(f, data)
	if err == nil {
		return nil, fmt.Errorf("it is larger than %d KiB", maxKey>>10)
	}
	if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		secret.Wipe(data)
		return nil, err
	}
	return data[:n], nil
}

// Open opens a secret with this machine's keys. Whatever fails, the error says
// what to do about it.
func (k Keyring) Open(s kind.Secret) ([]byte, error) {
	keys, err := k.Keys()
	if err != nil {
		return nil, fmt.Errorf("open secret %q: %w", s.Name, err)
	}
	forgetCores()
	keys = slices.Concat(k.Identities, keys)
	ids := make([]secret.Identity, len(keys))
	for i, key := range keys {
		ids[i] = key.Identity
	}
	plain, err := secret.Open(s.Sealed, ids)
	if errors.Is(err, secret.ErrNotForUs) {
		err = k.why(s, keys)
	}
	if err != nil {
		return nil, fmt.Errorf("open secret %q: %w", s.Name, err)
	}
	return plain, nil
}

// why says which key lacks where a secret cannot be opened.
func (k Keyring) why(s kind.Secret, keys []Key) error {
	if k.Elsewhere {
		return fmt.Errorf("none of the private keys here opens it (%s); name one that does with -i, yours or the machine's own, or make the machine's first: `gitboot secret key --create --stage FOLDER`, write what that prints into the config repo, run `gitboot secret rekey` there, and give --stage FOLDER here",
			files(keys))
	}
	if len(keys) == 0 {
		return fmt.Errorf("this machine has no private key: %s is not there; give it back the one whose public key is %s, or make one with `gitboot secret key --create`, write what that prints into the config repo, and run `gitboot secret rekey` there",
			k.Own(), s.Key)
	}
	for _, key := range keys {
		if key.String() == s.Key {
			return fmt.Errorf("it is not encrypted to %s, which is this machine's key (%s): run `gitboot secret rekey %s` in the config repo, with a key that can read it, and commit",
				key, key.File, s.Name)
		}
	}
	return fmt.Errorf("the config repo says that this machine's key is %s, and it is %s (%s): write key = \"…\" as `gitboot secret key` prints it, and run `gitboot secret rekey` there",
		s.Key, keys[0], keys[0].File)
}

// files says where keys are.
func files(keys []Key) string {
	if len(keys) == 0 {
		return "there are none"
	}
	var names []string
	for _, key := range keys {
		names = append(names, key.File)
	}
	return strings.Join(slices.Compact(names), ", ")
}

// forgetCores keeps what is opened out of core dumps, and from other processes
// of this user.
func forgetCores() {
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) // where it is denied, a core of root's is root's
}
