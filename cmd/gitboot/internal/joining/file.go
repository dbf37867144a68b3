package joining

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/BurntSushi/toml"

	"github.com/gitboot/gitboot/cmd/gitboot/internal/settings"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/usage"
	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/reconciler/source/transport"
)

// settled reads agent.toml, and reports whether it follows the repo already. One that
// follows none, as packages bring it, is added to.
func (j *joiner) settled() (bool, error) {
	path := j.Config()
	if !there(path) {
		return false, nil
	}
	set, err := settings.Load(path, true, settings.Flags{})
	j.before = set.Config
	named := j.Flags.Machine
	switch {
	case err != nil:
		return false, err
	case named != "" && set.Machine != "" && set.Machine != named:
		return false, usage.Errorf("%s is there already and calls this machine %q; change machine in it, or move it away", path, set.Machine)
	case set.Repo == "" && len(set.Repos) == 0:
		return false, nil
	case !slices.Contains(append(set.Repos, set.Repo), j.repo()):
		return false, usage.Errorf("%s is there already and follows %q; change repo in it, or move it away", path, set.Repo)
	}
	j.say("%s is there already, and stays as it is.\n", path)
	return true, nil
}

// repo is the address as it counts whatever folder one is in.
func (j *joiner) repo() string {
	if j.at.By == transport.ByPath {
		return j.at.Path
	}
	return j.Flags.Repo
}

// written is what is settled, in the order in which people read it.
type written struct {
	Repo           string `toml:"repo"`
	Ref            string `toml:"ref,omitempty"`
	Branch         string `toml:"branch,omitempty"`
	Path           string `toml:"path,omitempty"`
	Machine        string `toml:"machine,omitempty"`
	Stage          string `toml:"stage,omitempty"`
	Boot           string `toml:"boot,omitempty"`
	StageLocation  string `toml:"stage_location,omitempty"`
	SSHKeyFile     string `toml:"ssh_key_file,omitempty"`
	KnownHostsFile string `toml:"known_hosts_file,omitempty"`
	TokenFile      string `toml:"token_file,omitempty"`
}

// settings are what is settled and not said in agent.toml yet.
func (j *joiner) settings() written {
	f, had := j.Flags, j.before
	first := func(had, ours string) string {
		if had != "" {
			return ""
		}
		return ours
	}
	return written{
		Repo: j.repo(), Ref: first(had.Ref, f.Ref), Branch: first(had.Branch, f.Branch), Path: first(had.Path, f.Path), Machine: first(had.Machine, j.name),
		Stage: first(had.Stage, f.Stage), Boot: first(had.Boot, f.Boot), StageLocation: first(had.StageLocation, f.StageLocation),
		SSHKeyFile: first(had.SSHKeyFile, j.reach.SSHKeyFile), KnownHostsFile: first(had.KnownHostsFile, j.reach.KnownHostsFile), TokenFile: first(had.TokenFile, j.reach.TokenFile),
	}
}

// write writes agent.toml: what is settled, and then what was there.
func (j *joiner) write() error {
	path, err := filepath.Abs(j.Config())
	if err != nil {
		return err
	}
	var text bytes.Buffer
	text.WriteString("# How this machine finds its config repo.\n")
	if err := toml.NewEncoder(&text).Encode(j.settings()); err != nil {
		return err
	}
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(old) > 0 {
		text.WriteString("\n")
		text.Write(old)
	}
	if wrong := settings.Wrong(text.String()); len(wrong) > 0 {
		return usage.Errorf("that would make %s wrong: %s", path, wrong[0])
	}
	if err := durable.WriteFile(path, text.Bytes(), 0o644); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	j.say("Wrote %s.\n", path)
	return nil
}
