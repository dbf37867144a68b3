package record

import (
	"errors"
	"io/fs"
	"path/filepath"

	"github.com/gitboot/gitboot/deployment"
)

// A Tree remembers the hash tree of a layer's object.
type Tree struct {
	Layer deployment.Object `json:"layer"`
	Tree  deployment.Tree   `json:"tree"`
}

// Trees is where a stage keeps the records of hash trees. It is not there before the
// first.
func Trees(stage string) string { return filepath.Join(stage, "trees") }

// TreePath returns where the record of an object's tree lies in the folder of
// records.
func TreePath(dir string, layer deployment.Object) string {
	return filepath.Join(dir, layer.SHA256+".json")
}

// DropTrees removes the records of trees that are not live, or whose layers are not.
// A stage on which nothing was ever verified has none.
func DropTrees(dir string, live func(deployment.Object) bool) error {
	err := Drop(dir, func(r *Tree) (left, changed bool) { return live(r.Layer) && live(r.Tree.Object), false })
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
