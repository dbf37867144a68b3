package diskimage

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/gitboot/gitboot/secret/keyring"
	"github.com/gitboot/gitboot/spec"
	"github.com/gitboot/gitboot/stage"
)

// machineKey is the public key to which the machine's secrets are encrypted, "" if its
// hooks have none, and what it keeps of private ones.
func (p *preparation) machineKey() (public string, kept keyring.Keyring) {
	for _, key := range spec.SecretKeys(p.wanted.Wants) {
		public = *key // one like the other
	}
	return public, keyring.Keyring{Kept: stage.Layout(p.Config.Stage).Secrets(), Elsewhere: true}
}

// keepKey has the machine keep its own key, if that is among those that were named to
// open its secrets: it has to open them, too, for what it stages itself.
func (p *preparation) keepKey() error {
	if len(p.Config.Identities) == 0 {
		return nil
	}
	public, kept := p.machineKey()
	if public == "" {
		return fmt.Errorf("no hook of machine %s has a secret that a private key would open; leave -i out", p.wanted.Wants.Machine)
	}
	for _, key := range p.Config.Identities {
		if key.String() == public {
			return kept.Keep(key)
		}
	}
	return nil
}

// privateKeys are the files of what the machine keeps that hold some, by their paths in
// that folder.
func privateKeys(dir string) (names []string, err error) {
	kept := stage.Layout(dir).Secrets()
	err = filepath.WalkDir(kept, func(file string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		holds, err := keyring.Holds(file)
		if err != nil || !holds {
			return err
		}
		rel, err := filepath.Rel(kept, file)
		names = append(names, filepath.ToSlash(rel))
		return err
	})
	return names, err
}
