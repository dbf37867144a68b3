package bare

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/gitboot/gitboot/reconciler/source/clone"
)

// A View is what others see of a clone: one branch, and where its history ends.
type View struct {
	Branch string // in full; HEAD is it
	Tip    plumbing.Hash
	// Shallow are commits whose parents are in no repo that the clone was fetched from.
	Shallow []plumbing.Hash
}

// Look sees a clone while others may write to it: what it has admitted last, on the branch
// that is followed, ref. A clone that has nothing yet is no error: its Tip is zero.
func Look(dir, ref string) (v View, err error) {
	v.Branch = branch(ref)
	if v.Tip, err = clone.Admitted(dir); err != nil {
		return v, fmt.Errorf("reading the clone %s: %w", dir, err)
	}
	ends, err := os.ReadFile(filepath.Join(dir, shallow))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return v, err
	}
	for line := range strings.Lines(string(ends)) {
		v.Shallow = append(v.Shallow, plumbing.NewHash(strings.TrimSpace(line)))
	}
	return v, nil
}

const shallow = "shallow"

// branch is the one that is followed, in full, or main where that has no name of its own.
func branch(ref string) string {
	name := strings.TrimPrefix(ref, "refs/heads/")
	full := plumbing.NewBranchReferenceName(name)
	if name == "" || name == "HEAD" || strings.HasPrefix(name, "refs/") || full.Validate() != nil {
		return "refs/heads/main"
	}
	return full.String()
}
