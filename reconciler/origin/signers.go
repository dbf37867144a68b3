package origin

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"github.com/gitboot/gitboot/image/cosign"
	"github.com/gitboot/gitboot/internal/owned"
	"github.com/gitboot/gitboot/spec"
)

// signers reads who must have signed an image; without keys, nobody has to.
func signers(want spec.Image, files fs.FS) (cosign.Policy, error) {
	pull := want.Pull
	if pull == nil || pull.CosignKey == "" {
		return cosign.Policy{}, nil
	}
	return policy("cosign_key", pull.CosignKey, pull.CosignRepository, files)
}

// objectSigners reads who may have made objects of an image: those who may have signed
// it, and others that are believed in that alone.
func objectSigners(pull *spec.Pull, files fs.FS) (all []cosign.Policy, err error) {
	for _, name := range pull.ObjectKeys {
		p, err := policy("objects_key", name, pull.CosignRepository, files)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	if pull.CosignKey != "" {
		p, err := policy("cosign_key", pull.CosignKey, pull.CosignRepository, files)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

// policy reads a file of keys that a setting names.
func policy(setting, name, repository string, files fs.FS) (cosign.Policy, error) {
	data, err := keyFile(name, files)
	if err != nil {
		return cosign.Policy{}, fmt.Errorf("read the keys of %s: %w; images that need them are left as they are until it can be read", setting, err)
	}
	keys, err := cosign.ParseKeys(data)
	if err != nil {
		return cosign.Policy{}, fmt.Errorf("%s: %s %w", setting, name, err)
	}
	return cosign.Policy{Keys: keys, File: name, Repository: repository}, nil
}

// keyFile reads a file of the config repo, or one of this machine that nobody
// else can have changed.
func keyFile(name string, files fs.FS) (data []byte, err error) {
	var f fs.File
	if path.IsAbs(name) {
		if err := owned.Check(name); err != nil {
			return nil, fmt.Errorf("%w, so others could let in their own", err)
		}
		f, err = os.Open(name)
	} else {
		f, err = files.Open(path.Clean(name))
	}
	if err != nil {
		return nil, err
	}
	data, err = io.ReadAll(io.LimitReader(f, cosign.MaxKeyFile+1))
	return data, errors.Join(err, f.Close())
}
