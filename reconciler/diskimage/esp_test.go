package diskimage

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What does not fit into its partition is told before the disk is made.
func TestESPFiles(t *testing.T) {
	p := &preparation{folder: t.TempDir()}
	file := filepath.Join(p.folder, "gitboot/kernel")
	err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, nil, 0o600), os.Truncate(file, 40e6))
	if err != nil {
		t.Fatal(err)
	}
	if files, err := p.espFiles(50e6); err != nil || len(files) != 1 || files[0].Path != "/gitboot/kernel" || files[0].Source != file {
		t.Errorf("%v, %v", files, err)
	}
	if _, err := p.espFiles(42e6); err == nil || !strings.Contains(err.Error(), `give the partition with the role "esp" more`) {
		t.Errorf("40 MB into 42 MB: %v", err)
	}
}
