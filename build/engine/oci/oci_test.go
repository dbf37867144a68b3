package oci

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLayout(t *testing.T) {
	dir := t.TempDir()
	layer := Descriptor{MediaLayer, Digest([]byte("layer")), 5}
	if err := errors.Join(os.MkdirAll(Blobs(dir), 0o700), WriteLayout(dir, []Descriptor{layer}, map[string]any{"Env": []string{"A=b"}}, "arm64")); err != nil {
		t.Fatal(err)
	}
	var index struct{ Manifests []Descriptor }
	if err := ReadJSON(filepath.Join(dir, "index.json"), &index); err != nil || len(index.Manifests) != 1 {
		t.Fatal(index, err)
	}
	var m Manifest
	if err := ReadJSON(Blob(dir, index.Manifests[0].Digest), &m); err != nil || m.MediaType != MediaManifest || len(m.Blobs()) != 2 || m.Layers[0] != layer {
		t.Errorf("%+v %v", m, err)
	}
	config, err := Read(Blob(dir, m.Config.Digest))
	if err != nil || Digest(config) != m.Config.Digest || int64(len(config)) != m.Config.Size {
		t.Errorf("the configuration is %s, %v", config, err)
	}
	for _, want := range []string{`"A=b"`, `"arm64"`, layer.Digest} {
		if !strings.Contains(string(config), want) {
			t.Errorf("%s lacks %s", config, want)
		}
	}
}

// What decides an image's id stays as it is: children are built on it.
func TestManifestsStayWhatTheyAre(t *testing.T) {
	layer := Descriptor{MediaLayer, Digest([]byte("layer")), 5}
	data, d, err := Marshal(MediaManifest, ManifestOf(Descriptor{MediaConfig, Digest([]byte("{}")), 2}, []Descriptor{layer}))
	const want = `{"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"sha256:dac1d7cfa95021764849fd102524e141488c5e3a90f861dbb5a12d9ac8584f85","size":5}],"mediaType":"application/vnd.oci.image.manifest.v1+json","schemaVersion":2}`
	if err != nil || string(data) != want || d.Size != int64(len(want)) || d.MediaType != MediaManifest {
		t.Errorf("%s, %+v, %v", data, d, err)
	}
}

func TestReadIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "large")
	if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, MaxDocument+1)); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(path); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("%v", err)
	}
	for text, want := range map[string]bool{Digest(nil): true, "": false, "sha256:../x": false, "sha512:" + Digest(nil)[7:]: false, Digest(nil) + "\n": false} {
		if IsDigest(text) != want {
			t.Errorf("%q is a digest: %t", text, !want)
		}
	}
}
