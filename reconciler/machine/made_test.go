package machine

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/image/objects"
	"github.com/gitboot/gitboot/stage"
)

// A machine that makes layers itself tells of what was published of them and is
// something else; of what it cannot compare it says nothing.
func TestCompareMade(t *testing.T) {
	st, err := stage.Create(t.TempDir() + "/stage")
	if err != nil {
		t.Fatal(err)
	}
	content := make([]byte, 1024) // an empty tar
	diffID := "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"
	o, err := st.AddLayer(t.Context(), stage.Tar{DiffID: diffID, Open: func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(content)), nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	made := func(o deployment.Object, rewriter int) []image.Layer {
		return []image.Layer{{DiffID: diffID, Made: &image.Made{Layer: objects.Layer{DiffID: diffID, SHA256: o.SHA256, Size: o.Size}, Rewriter: rewriter}}}
	}
	other := deployment.Object{SHA256: strings.Repeat("0", 64), Size: o.Size}
	for what, c := range map[string]struct {
		layers []image.Layer
		told   bool
	}{
		"the same":            {made(o, stage.Rewriter), false},
		"another":             {made(other, stage.Rewriter), true},
		"another size":        {made(deployment.Object{SHA256: o.SHA256, Size: 1}, stage.Rewriter), true},
		"of another rewriter": {made(other, stage.Rewriter+1), false},
		"nobody's":            {[]image.Layer{{DiffID: diffID}}, false},
	} {
		err := compareMade(st, c.layers)
		if told := err != nil && strings.Contains(err.Error(), "look at who can sign"); told != c.told {
			t.Errorf("%s: %v", what, err)
		}
	}
}
