package registry

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// PublicConfig makes the configuration that is published of one that an engine
// made: the same for the same content, whenever and wherever that was built.
// The labels are added where the image has none of that name.
func PublicConfig(engine []byte, created time.Time, labels map[string]string) ([]byte, error) {
	from, err := v1.ParseConfigFile(bytes.NewReader(engine))
	if err != nil {
		return nil, fmt.Errorf("read the built image's configuration: %w", err)
	}
	at := v1.Time{Time: created.UTC()}
	out := v1.ConfigFile{
		Architecture: from.Architecture, OS: cmp.Or(from.OS, "linux"), Variant: from.Variant,
		Created: at, Config: from.Config, RootFS: from.RootFS,
	}
	// What an engine notes of the container that it built in.
	out.Config.Hostname, out.Config.Domainname, out.Config.Image = "", "", ""
	all := maps.Clone(labels)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, from.Config.Labels)
	if out.Config.Labels = all; len(all) == 0 {
		out.Config.Labels = nil
	}
	for range from.RootFS.DiffIDs {
		out.History = append(out.History, v1.History{Created: at, CreatedBy: "gitboot"})
	}
	return json.Marshal(out)
}
