package squash

import (
	"strings"
	"testing"

	"github.com/gitboot/gitboot/internal/program"
)

func TestWithoutTar2sqfs(t *testing.T) {
	err := notStarted(program.Command(t.Context(), "no-tar2sqfs").Run())
	if err == nil || !strings.Contains(err.Error(), "install the package squashfs-tools-ng") {
		t.Errorf("error %v", err)
	}
}
