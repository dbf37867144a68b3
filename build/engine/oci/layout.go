package oci

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"time"
)

// WriteLayout makes an image of layers whose blobs are in dir already. config is
// what containers of it are started with ("config" in the specification).
func WriteLayout(dir string, layers []Descriptor, config any, architecture string) error {
	diffIDs, history := []string{}, []map[string]any{}
	for _, l := range layers {
		diffIDs = append(diffIDs, l.Digest)
		history = append(history, map[string]any{"created": time.Unix(0, 0).UTC(), "created_by": "base"})
	}
	c, err := writeDocument(dir, MediaConfig, map[string]any{
		"created": time.Unix(0, 0).UTC(), "os": "linux", "architecture": architecture,
		"config":  config,
		"history": history,
		"rootfs":  map[string]any{"type": "layers", "diff_ids": diffIDs},
	})
	if err != nil {
		return err
	}
	m, err := writeDocument(dir, MediaManifest, ManifestOf(c, layers))
	if err != nil {
		return err
	}
	index, err := json.Marshal(map[string]any{"schemaVersion": 2, "manifests": []Descriptor{m}})
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, "index.json"), index, 0o600),
		os.WriteFile(filepath.Join(dir, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`), 0o600))
}

func writeDocument(dir, media string, v any) (Descriptor, error) {
	data, d, err := Marshal(media, v)
	if err != nil {
		return d, err
	}
	return d, os.WriteFile(Blob(dir, d.Digest), data, 0o600)
}
