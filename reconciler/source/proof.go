package source

import (
	"os"
	"path/filepath"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/gitboot/gitboot/internal/durable"
)

// A proof says that a tip has MinRevision in its history, which may be long: it
// is followed once for each tip. It lies in the clone, as what it is of does.
type proof struct{ path, text string }

func (o Options) proof(tip plumbing.Hash) proof {
	return proof{filepath.Join(o.Dir, "min-revision"), tip.String() + " has " + o.MinRevision + "\n"}
}

func (p proof) found() bool {
	text, err := os.ReadFile(p.path)
	return err == nil && string(text) == p.text
}

func (p proof) keep() error {
	if p.found() {
		return nil
	}
	return durable.WriteFile(p.path, []byte(p.text), 0o600)
}
