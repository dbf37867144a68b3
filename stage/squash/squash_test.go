package squash

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/internal/program"
	"github.com/gitboot/gitboot/internal/progress"
)

func TestWithoutTar2sqfs(t *testing.T) {
	err := notStarted(program.Command(t.Context(), "no-tar2sqfs").Run())
	if err == nil || !strings.Contains(err.Error(), "install the package squashfs-tools-ng") {
		t.Errorf("error %v", err)
	}
}

// A layer takes as many chunks as are on their way at once, which of a small one is one,
// and no more than there may be.
func TestPumpTakesFewChunks(t *testing.T) {
	for size, most := range map[int]int{0: 1, 1000: 1, (chunkCount + 1) * chunkSize: chunkCount} {
		content := bytes.Repeat([]byte{7}, size)
		p := startPump(t.Context(), bytes.NewReader(content), progress.Start(nil, "", 0), true)
		got, err := io.ReadAll(p)
		if err != nil || !bytes.Equal(got, content) {
			t.Errorf("%d bytes: %d of them, %v", size, len(got), err)
		}
		if p.made < 1 || p.made > most {
			t.Errorf("%d bytes: %d chunks", size, p.made)
		}
	}
}
