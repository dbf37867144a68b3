package docs

import (
	"context"
	"os"
	"path/filepath"
	"testing"
)

// background is for what outlives one test.
var background = context.Background()

func TestMain(m *testing.M) {
	code := m.Run()
	if gitboot, err := buildOnce(); err == nil {
		os.RemoveAll(filepath.Dir(gitboot))
	}
	os.Exit(code)
}
