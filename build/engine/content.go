package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/gitboot/gitboot/build/engine/oci"
)

// inherited is what of a configuration a child's steps depend on.
type inherited struct {
	Config struct {
		Env                       []string
		User, WorkingDir          string
		Shell, Entrypoint, Volume []string
		OnBuild                   []string
	} `json:"config"`
	RootFS struct {
		DiffIDs []string `json:"diff_ids"`
	} `json:"rootfs"`
}

// Identify completes an image of which all is known but what its configuration
// says. It reports whether that names the same layers.
func (i *Image) Identify() (whole bool, err error) {
	var c inherited
	if err := json.Unmarshal(i.Config, &c); err != nil {
		return false, fmt.Errorf("read the image's configuration: %w", err)
	}
	all, err := json.Marshal(c)
	layers, err2 := json.Marshal(c.RootFS.DiffIDs)
	i.Content, i.Digest = oci.Digest(all), oci.Digest(layers)
	whole = slices.EqualFunc(i.Layers, c.RootFS.DiffIDs, func(l Layer, diffID string) bool { return l.DiffID == diffID })
	return whole, errors.Join(err, err2)
}
