package arch

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var skip = regexp.MustCompile(`\b(t|tb|b|f|m)\.(Skip|Skipf|SkipNow)\(|(?m)^(\[[^\]]*\] )*skip `)

// A test that is skipped where all runs hides that it does not work. Package
// need skips what -short leaves out or only root can; all else fails there. What
// is skipped in some other way, make test finds out (tests/noskip).
func TestNoSkips(t *testing.T) {
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			if d != nil && d.Name() == ".git" {
				return fs.SkipDir
			}
			return err
		}
		script := strings.HasSuffix(path, ".txtar")
		if !script && !strings.HasSuffix(path, ".go") || slices.Contains([]string{"need", "noskip", "arch"}, filepath.Base(filepath.Dir(path))) {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, line := range skip.FindAllString(string(data), -1) {
			if !script || !strings.HasPrefix(line, "[short] ") {
				t.Errorf("%s: %s: let tests/need decide", path, line)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
