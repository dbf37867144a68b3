package builtin

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/gitboot/gitboot/hooks/kind"
	"github.com/gitboot/gitboot/internal/durable"
)

// keep returns what is kept under name; the first time, what generate makes.
// Of several that generate at once, one wins and all return its content.
func keep(r *Target, name string, generate func() ([]byte, error)) ([]byte, error) {
	if r.StateDir == "" {
		return nil, errNoState
	}
	p := filepath.Join(r.StateDir, name)
	data, err := os.ReadFile(p)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return data, err
	}
	if data, err = generate(); err != nil {
		return nil, fmt.Errorf("generate %s: %w", name, err)
	}
	r.Log.Info("generated, and kept on the stage from now on", "what", name)
	switch err := publishNew(p, data); {
	case errors.Is(err, fs.ErrExist):
		return os.ReadFile(p)
	case err != nil:
		return nil, fmt.Errorf("keep %s: %w", name, err)
	}
	return data, nil
}

// publishNew writes a file durably unless it exists.
func publishNew(p string, data []byte) error {
	dir := filepath.Dir(p)
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := durable.Create(dir, 0o600)
	if err != nil {
		return err
	}
	defer f.Discard()
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	// A link, unlike a rename, does not replace what another run just made.
	if err := os.Link(f.Name(), p); err != nil {
		return err
	}
	return durable.SyncDir(dir)
}

var errNoState = errors.New("it keeps what it generates, and there is no directory for that; give the stage")

// NameSecrets puts a file into a layer with secrets that names them: whoever
// passes the layer on can see that it holds some. It begins with what nobody
// else knows, so that the layer's digest, which is no secret, tells nothing of a
// secret that could be guessed.
func NameSecrets(r *Target, names []string) error {
	salt, err := keep(r, "salt", func() ([]byte, error) {
		random := make([]byte, 32)
		_, err := rand.Read(random)
		return []byte(hex.EncodeToString(random)), err
	})
	if err != nil {
		return err
	}
	content := "salt " + strings.TrimSpace(string(salt)) + "\nsecret " + strings.Join(names, "\nsecret ") + "\n"
	return r.files(kind.File{Path: kind.SecretsFile, Mode: 0o600, Content: []byte(content)})
}
