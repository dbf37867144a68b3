//go:build faults

package fault

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestPointObeysTheEnvironment(t *testing.T) {
	list := filepath.Join(t.TempDir(), "list")
	t.Setenv("GITBOOT_FAULT_LIST", list)
	t.Setenv("GITBOOT_FAULT", "test.here#2:enospc")
	if err := Point("test.here"); err != nil {
		t.Errorf("the first pass: %v", err)
	}
	if err := Point("test.here"); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("the second pass: %v", err)
	}
	t.Setenv("GITBOOT_FAULT", "test.there:dance")
	if err := Point("test.there"); err == nil {
		t.Error("an unknown action is taken")
	}
	if data, err := os.ReadFile(list); err != nil || string(data) != "test.here\ntest.here#2\ntest.there\n" {
		t.Errorf("%q, %v", data, err)
	}
}
