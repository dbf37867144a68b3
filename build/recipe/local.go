package recipe

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
)

// local writes recipe, copy and run.
func (r *renderer) local() {
	r.ownArgs()
	if r.Recipe.Recipe == "" && len(r.Copy) == 0 && len(r.Run) == 0 {
		return
	}
	r.stage("gitboot-local")
	r.out.WriteString(r.left.reset() + r.left.script())
	for _, arg := range slices.Sorted(maps.Keys(r.Args)) {
		fmt.Fprintf(&r.out, "ARG %s\n", arg)
	}
	if r.Recipe.Recipe != "" {
		r.problems.add(Problem{At: []string{"recipe"}, Value: r.Recipe.Recipe}, r.recipe(r.Recipe.Recipe))
	}
	for i, c := range r.Copy {
		r.problems.add(Problem{At: []string{"copy", strconv.Itoa(i), "from"}, Value: c.From}, r.copy(c))
	}
	for i, command := range r.Run {
		if strings.TrimSpace(command) == "" {
			r.problems.add(Problem{At: []string{"run", strconv.Itoa(i)}}, refuse("write one, or remove it", "is no command"))
		}
		fmt.Fprintf(&r.out, "RUN %s%s\n", r.secretMounts(), shell(command))
	}
	if len(r.Run) > 0 {
		r.parts = append(r.parts, hashPart("run", []byte(strings.Join(r.Run, "\x00"))))
	}
	if user := r.left.user; user != "" && !r.RootfsFixes {
		fmt.Fprintf(&r.out, "USER %s\n", user) // what the image is run as is the fragments' to say
	}
}

// ownArgs refuses arguments that would replace gitboot's.
func (r *renderer) ownArgs() {
	for _, name := range slices.Sorted(maps.Keys(r.Args)) {
		if strings.HasPrefix(name, ownPrefix) {
			r.problems.add(Problem{At: []string{"args", name}, Value: name}, refuse("give it another name", "is an argument that gitboot keeps for itself"))
		}
	}
}

// recipe runs a folder's script. Engines do not look into what they mount, so
// the step names its content: another content is another step.
func (r *renderer) recipe(folder string) error {
	if err := plainPath(folder); err != nil {
		return err
	}
	if err := r.read.program(path.Join(folder, "script")); err != nil {
		return refuse(hintOf(err), "has a script that %s", messageOf(err))
	}
	source := path.Join(OwnFolder, folder)
	if err := r.files.script(folder, source); err != nil {
		return err
	}
	fmt.Fprintf(&r.out, "RUN --mount=type=bind,source=%s,target=%s %scd %s && exec ./script # %s\n",
		source, ScriptMount, r.secretMounts(), ScriptMount, r.files.sum(source))
	return nil
}

func (r *renderer) copy(c Copy) error {
	if err := plainPath(c.From); err != nil {
		return err
	}
	info, err := fs.Stat(r.read.fsys, c.From)
	if err != nil {
		return missing(err)
	}
	if err := r.files.own(c.From); err != nil {
		return err
	}
	source := path.Join(OwnFolder, c.From)
	if info.IsDir() {
		source += "/"
	}
	fmt.Fprintf(&r.out, "COPY %s\n", jsonText([]string{source, quotePath(c.To)}))
	r.parts = append(r.parts, hashPart("copy to "+c.To, []byte(c.From)))
	return nil
}

// quotePath keeps engines from seeing quotes and variables in a path.
func quotePath(s string) string {
	return strings.NewReplacer(`\`, `\\`, `$`, `\$`, `"`, `\"`, `'`, `\'`).Replace(s)
}

// plainPath refuses names that a Containerfile would take for more than that.
func plainPath(name string) error {
	if strings.ContainsAny(name, "*?[]\\$,\"' \t\n") {
		return refuse("rename it", "has white space or one of *?[]\\$,\"', which mean something else in a Containerfile")
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
