package record

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/gitboot/gitboot/deployment"
)

// Contents is where a stage keeps what is told of objects, in files that are named as these
// are, but for what follows a dot. It is not there before the first.
func Contents(stage string) string { return filepath.Join(stage, "contents") }

// DropContents removes what is told of objects that are not live. A cut in between leaves
// a file that the next collection removes.
func DropContents(dir string, live func(deployment.Object) bool) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		if name, _, _ := strings.Cut(e.Name(), "."); err == nil && !live(deployment.Object{SHA256: name}) {
			err = os.Remove(filepath.Join(dir, e.Name()))
		}
	}
	return err
}
