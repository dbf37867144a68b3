package difference

import (
	"strings"
	"testing"

	"github.com/gitboot/gitboot/reconciler/plan"
)

// An image's layers are one line, and of an error only what it begins with.
func TestActions(t *testing.T) {
	var out strings.Builder
	err := Actions(&out, []plan.Action{
		{Kind: plan.AddLayer, Image: "desktop", Bytes: 4e6},
		{Kind: plan.AddLayer, Image: "desktop", Bytes: 5e6},
		{Kind: plan.AddLayer, Image: "router"},
		{Kind: plan.AddDeployment, Image: "desktop", Generation: 3, Reason: "another image", Packages: "2 upgraded", Notes: []string{"a note"}, Warnings: []string{"a warning"}},
		{Kind: plan.SkipImage, Image: "broken", Reason: "no such tag:\nmore of it"},
		{Kind: plan.RemoveDeployment, Image: "desktop", Subject: strings.Repeat("0123456789abcdef", 4)},
		{Kind: plan.WriteMenu, Reason: "the entries differ"},
	})
	want := `+ add layer          desktop: 2 layers, 9.0 MB
+ add layer          router: 1 layer
+ add deployment     desktop generation 3: another image
                     packages: 2 upgraded
                     note: a note
                     warning: a warning
! skip image         broken: no such tag …
- remove deployment  desktop 0123456789ab
~ write menu         the entries differ
`
	if err != nil || out.String() != want {
		t.Errorf("%v, told\n%s", err, out.String())
	}
}
