package image

import (
	"context"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/gitboot/gitboot/image/archive"
	"github.com/gitboot/gitboot/image/internal/expand"
	"github.com/gitboot/gitboot/image/internal/untrusted"
)

// openDockerSave reads the format of docker save before version 25 and of
// podman save: manifest.json names a configuration and layers. Layers have no
// digest of their own there, so they are checked against their diff ids.
func openDockerSave(ctx context.Context, open archive.Member, where string, opts Options) (*Image, error) {
	var list []struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	if err := open.JSON(ctx, "manifest.json", &list); err != nil {
		return nil, err
	}
	if len(list) != 1 {
		var names []string
		for _, m := range list {
			names = append(names, untrusted.Printable(strings.Join(m.RepoTags, " "), 120))
		}
		return nil, manyImages(names)
	}
	m := list[0]
	data, err := open.Read(ctx, m.Config)
	if err != nil {
		return nil, err
	}
	digest := untrusted.SHA256(data)
	if hex := strings.TrimSuffix(path.Base(m.Config), ".json"); len(hex) == 64 && hex != digest.Hex {
		return nil, &untrusted.DigestError{What: "configuration", From: where, Want: "sha256:" + untrusted.Printable(hex, 64), Got: digest.String()}
	}
	config, err := parseConfig(data, "the configuration")
	if err != nil {
		return nil, err
	}
	if err := checkPlatform(config, where, opts.Platform); err != nil {
		return nil, err
	}
	if len(config.RootFS.DiffIDs) != len(m.Layers) {
		return nil, fmt.Errorf("manifest.json has %d layers, the configuration %d diff ids; save the image again", len(m.Layers), len(config.RootFS.DiffIDs))
	}
	img, history := newImage(digest, config), historyOf(config)
	for i, name := range m.Layers {
		img.Layers = append(img.Layers, Layer{
			DiffID:      config.RootFS.DiffIDs[i].String(),
			CreatedBy:   history[i],
			blob:        memberOpener(open, name),
			progress:    opts.Progress,
			checkDiffID: true,
			allowed:     expand.FileDiet(),
			expansion:   opts.Expansion,
		})
	}
	return img, nil
}

func memberOpener(open archive.Member, name string) opener {
	return func(ctx context.Context) (io.ReadCloser, error) {
		rc, _, err := open(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("read layer of archive: %w", err)
		}
		return rc, nil
	}
}
