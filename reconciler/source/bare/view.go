package bare

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/gitboot/gitboot/reconciler/source/clone"
	"github.com/gitboot/gitboot/reconciler/source/tagged"
)

// A View is what others see of a clone: one branch, the tags of its tip by which that was
// followed or approved of, and where its history ends.
type View struct {
	Branch string // in full; HEAD is it
	Tip    plumbing.Hash
	Tags   []tagged.Tag
	// Shallow are commits whose parents are in no repo that the clone was fetched from.
	Shallow []plumbing.Hash
}

// Look sees a clone while others may write to it: what it has admitted last, on the branch
// that is followed, ref. A clone that has nothing yet is no error: its Tip is zero.
func Look(dir, ref string) (v View, err error) {
	if v.Tip, err = clone.Admitted(dir); err != nil {
		return v, fmt.Errorf("reading the clone %s: %w", dir, err)
	}
	if v.Tags, err = tagged.Of(dir, v.Tip).All(); err != nil {
		return v, err
	}
	v.Branch = branch(ref, v.Tags)
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

// branch is the one that is followed, in full, or main where that has no name of its own,
// or is a tag.
func branch(ref string, tags []tagged.Tag) string {
	name := strings.TrimPrefix(ref, "refs/heads/")
	full := plumbing.NewBranchReferenceName(name)
	isTag := slices.ContainsFunc(tags, func(t tagged.Tag) bool { return t.Name == "refs/tags/"+ref })
	if name == "" || name == "HEAD" || strings.HasPrefix(name, "refs/") || full.Validate() != nil || isTag {
		return "refs/heads/main"
	}
	return full.String()
}
