package early

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/deployment"
)

// Who can write to the disk but not to the menu changes no small layer, such as
// the hooks', and no manifest.
func TestAChangedLayerIsNotMounted(t *testing.T) {
	small, large := bytes.Repeat([]byte("a"), 5000), bytes.Repeat([]byte("a"), maxHashed+1)
	for name, c := range map[string]struct {
		says, has []byte
		want      string
	}{
		"as it was":         {small, small, ""},
		"changed":           {small, bytes.Replace(small, []byte("a"), []byte("b"), 1), "was changed or is damaged"},
		"cut":               {small, small[1:], "has 4999 bytes"},
		"large and changed": {large, bytes.Replace(large, []byte("a"), []byte("b"), 1), ""}, // not covered
	} {
		file := filepath.Join(t.TempDir(), "object")
		if err := os.WriteFile(file, c.has, 0o600); err != nil {
			t.Fatal(err)
		}
		err := checkObject(file, deployment.Object{SHA256: deployment.ID(c.says), Size: int64(len(c.says))})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
