package spec

import "github.com/gitboot/gitboot/hooks/kind"

type hookDecl struct {
	site
	Images  []string     `key:"images" is:"image-glob" doc:"Globs over image:tag that the hook applies to; all images if absent."`
	Exclude []string     `key:"exclude" is:"image-glob" doc:"Globs over image:tag taken out of images."`
	Order   *int         `key:"order" default:"0" doc:"Hooks with lower numbers come first; equal ones as the machine lists them."`
	File    []fileDecl   `key:"file" doc:"Files to write."`
	Link    []linkDecl   `key:"link" doc:"Symbolic links to make."`
	Dir     []dirDecl    `key:"dir" doc:"Folders to make, or to give another mode and owner."`
	Remove  []string     `key:"remove" is:"hook-path" doc:"Files and folders of the image that the machine does not see; first of all, so that they can be replaced."`
	Run     []scriptDecl `key:"run" doc:"Scripts run when the hook is rendered; they write below $GITBOOT_OUT."`
	AtBoot  []atBootDecl `key:"at_boot" doc:"Scripts run in the new root before its init."`
	kind.Builtin
}

// bodyDecl is where a file's or script's content comes from.
type bodyDecl struct {
	Content        *string `key:"content" doc:"The content itself."`
	Source         *string `key:"source" is:"repo-path" doc:"A file in the repo."`
	Template       *string `key:"template" is:"template" doc:"Go text/template; sees .Machine, .Image and .Vars."`
	TemplateSource *string `key:"template_source" is:"repo-path" doc:"A template in the repo."`
}

// targetDecl is what a hook puts somewhere in the image.
type targetDecl struct {
	site
	Path   *string  `key:"path" is:"hook-path" required:"true" doc:"Where it goes."`
	Images []string `key:"images" is:"image-glob" doc:"Only for these images; among a hook's elements of one path, the first that matches counts."`
}

type fileDecl struct {
	targetDecl
	_      struct{} `oneof:"content,source,template,template_source,link,secret"`
	Mode   *string  `key:"mode" is:"mode" doc:"Octal, such as 0644, which is the default; 0755 if source is executable, 0600 with a secret."`
	Owner  *string  `key:"owner" is:"owner" default:"0:0" doc:"Numeric uid:gid."`
	Link   *string  `key:"link" is:"link" doc:"Make a symbolic link to this instead of a file, as [[hook.NAME.link]] does."`
	Secret *string  `key:"secret" is:"name" doc:"The content is this secret's; templates put one in with {{ secret NAME }}."`
	bodyDecl
}

type linkDecl struct {
	targetDecl
	To *string `key:"to" is:"template" required:"true" doc:"What it points to."`
}

type dirDecl struct {
	targetDecl
	Mode  *string `key:"mode" is:"mode" doc:"Octal; if neither mode nor owner are given, as the image has it, else 0755."`
	Owner *string `key:"owner" is:"owner" doc:"Numeric uid:gid; 0:0 if only mode is given."`
}

// targets lists what a hook puts into the image, each kind by itself.
func (h *hookDecl) targets() (all [3][]*targetDecl) {
	for i := range h.File {
		all[0] = append(all[0], &h.File[i].targetDecl)
	}
	for i := range h.Link {
		all[1] = append(all[1], &h.Link[i].targetDecl)
	}
	for i := range h.Dir {
		all[2] = append(all[2], &h.Dir[i].targetDecl)
	}
	return all
}

type scriptDecl struct {
	atBootDecl
	Timeout *string           `key:"timeout" is:"duration" default:"5m" doc:"How long it may run."`
	Env     map[string]string `key:"env" names:"env" is:"template" doc:"Environment variables; the values are templates."`
	Network *bool             `key:"network" default:"false" doc:"Whether it may reach the network."`
	Secrets []string          `key:"secrets" is:"name" doc:"Secrets that it may read, in files of these names below $GITBOOT_SECRETS."`
}

type atBootDecl struct {
	site
	_    struct{} `oneof:"content,source,template,template_source"`
	Name *string  `key:"name" is:"name" doc:"For the log; the source's file name, else the script's position, if absent."`
	bodyDecl
}
