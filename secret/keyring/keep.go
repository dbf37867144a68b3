package keyring

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/secret"
)

// Lasts reports whether one of the keys is there whatever boots. An ssh host key of the
// system that runs may be another's in what boots next.
func (k Keyring) Lasts(keys []Key) bool {
	return slices.ContainsFunc(keys, func(key Key) bool { return key.File == k.File || filepath.Dir(key.File) == k.Kept })
}

// Create makes an identity where the machine has none that lasts, and returns the keys
// that it has then.
func (k Keyring) Create() ([]Key, error) {
	if keys, err := k.Keys(); k.Lasts(keys) || err != nil && !errors.Is(err, fs.ErrNotExist) {
		return keys, err
	}
	_, data, err := secret.NewIdentity()
	if err != nil {
		return nil, err
	}
	defer secret.Wipe(data)
	if err := k.write(data); err != nil {
		return nil, fmt.Errorf("make an identity: %w", err)
	}
	return k.Keys()
}

// Has reports whether a key is one that is there whatever boots.
func (k Keyring) Has(public string) (bool, error) {
	keys, err := k.Keys()
	return slices.ContainsFunc(keys, func(key Key) bool { return key.String() == public && k.Lasts([]Key{key}) }), err
}

// Keep has the machine keep a key that lies in a file by itself.
func (k Keyring) Keep(key Key) error {
	if has, err := k.Has(key.String()); has || err != nil {
		return err
	}
	data, err := private(key.File)
	if err != nil {
		return fmt.Errorf("keep the key of %s: %w", key.File, err)
	}
	defer secret.Wipe(data)
	switch ids, err := secret.ParseIdentities(data, nil); {
	case errors.As(err, new(*secret.LockedError)):
		return fmt.Errorf("keep the key of %s: %w, which no machine can type; give it without one", key.File, err)
	case err != nil:
		return fmt.Errorf("keep the key of %s: %w", key.File, err)
	case len(ids) != 1:
		return fmt.Errorf("keep the key of %s: it has %d keys; give one that has the machine's alone", key.File, len(ids))
	}
	if err := k.write(data); errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("keep the key of %s: %s is another; remove it, or name another folder with --stage", key.File, k.Own())
	} else if err != nil {
		return fmt.Errorf("keep the key of %s: %w", key.File, err)
	}
	return nil
}

// write makes the file of the identity that the machine keeps, and replaces none.
func (k Keyring) write(data []byte) error {
	dir := filepath.Dir(k.Own())
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := durable.Create(dir, 0o600)
	if err != nil {
		return err
	}
	defer f.Discard()
	if _, err := io.Copy(f, bytes.NewReader(data)); err != nil {
		return err
	}
	return errors.Join(f.Sync(), os.Link(f.Name(), k.Own()), durable.SyncDir(dir)) // a link replaces nothing
}
