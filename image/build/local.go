package build

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
)

// local writes recipe, copy and run.
func (r *renderer) local() error {
	if r.Recipe.Recipe == "" && len(r.Copy) == 0 && len(r.Run) == 0 {
		return nil
	}
	r.stage("gitboot-local")
	for _, arg := range slices.Sorted(maps.Keys(r.Args)) {
		fmt.Fprintf(&r.out, "ARG %s\n", arg)
	}
	if r.Recipe.Recipe != "" {
		if err := r.recipe(r.Recipe.Recipe); err != nil {
			return err
		}
	}
	for _, c := range r.Copy {
		if err := r.copy(c); err != nil {
			return err
		}
	}
	for _, command := range r.Run {
		fmt.Fprintf(&r.out, "RUN %s%s\n", r.secretMounts(), shell(command))
	}
	if len(r.Run) > 0 {
		r.parts = append(r.parts, hashPart("run", []byte(strings.Join(r.Run, "\x00"))))
	}
	return nil
}

// recipe runs a folder's script. Engines do not look into what they mount, so
// the step names its content: another content is another step.
func (r *renderer) recipe(folder string) error {
	if err := plainPath(folder); err != nil {
		return err
	}
	info, err := fs.Stat(r.FS, path.Join(folder, "script"))
	if err != nil {
		return fmt.Errorf("read recipe: %w", err)
	}
	if info.Mode()&0o111 == 0 {
		return fmt.Errorf("recipe %s: its script is not executable; run git update-index --chmod=+x %s/script", folder, folder)
	}
	source := path.Join(ownFolder, folder)
	if err := r.files.script(folder, source); err != nil {
		return err
	}
	fmt.Fprintf(&r.out, "RUN --mount=type=bind,source=%s,target=%s %scd %s && exec ./script # %s\n",
		source, recipeMount, r.secretMounts(), recipeMount, r.files.sum(source))
	return nil
}

func (r *renderer) copy(c Copy) error {
	if err := plainPath(c.From); err != nil {
		return err
	}
	if err := r.files.own(c.From); err != nil {
		return err
	}
	info, err := fs.Stat(r.FS, c.From)
	if err != nil {
		return fmt.Errorf("read copy: %w", err)
	}
	source := path.Join(ownFolder, c.From)
	if info.IsDir() {
		source += "/"
	}
	fmt.Fprintf(&r.out, "COPY %s\n", jsonText([]string{source, strings.ReplaceAll(c.To, "$", `\$`)}))
	r.parts = append(r.parts, hashPart("copy to "+c.To, []byte(c.From)))
	return nil
}

// plainPath refuses names that a Containerfile would take for more than that.
func plainPath(name string) error {
	if strings.ContainsAny(name, "*?[]\\$,\"' \t\n") {
		return fmt.Errorf("%q: white space and any of *?[]\\$,\"' mean something else in a Containerfile; rename it", name)
	}
	return nil
}

// secretMounts shows the secrets to a step, as /run/secrets/ID.
func (r *renderer) secretMounts() string {
	var b strings.Builder
	for _, id := range slices.Sorted(maps.Keys(r.Secrets)) {
		fmt.Fprintf(&b, "--mount=type=secret,id=%s ", id)
	}
	return b.String()
}

// shell writes a command so that it stays one instruction: as it is where it
// can be, else as JSON. A script of several lines ends with its first failure.
func shell(command string) string {
	if strings.ContainsAny(command, "\n\r") {
		return jsonText([]string{"/bin/sh", "-ec", command})
	}
	trimmed := strings.TrimSpace(command)
	if strings.HasSuffix(trimmed, `\`) || strings.HasPrefix(trimmed, "[") || strings.HasPrefix(trimmed, "--") || strings.Contains(trimmed, "<<") {
		return jsonText([]string{"/bin/sh", "-c", command})
	}
	return trimmed
}

func jsonText(v any) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.Encode(v) // strings cannot fail
	return strings.TrimSpace(b.String())
}
