package awsfake

import (
	"slices"
	"time"
)

// input is what the operations take.
type input struct {
	SecretId, Name                   string
	VersionId, VersionStage          string
	ClientRequestToken               string
	SecretString                     *string
	VersionStages                    []string
	RotationToken                    string
	MoveToVersionId                  string
	RemoveFromVersionId              string
	IncludeDeprecated                bool
	RecoveryWindowInDays, MaxResults int
}

func refuse(code, message string) *Refusal { return &Refusal{400, code, message} }

func notFound(what string) *Refusal {
	return refuse("ResourceNotFoundException", "Secrets Manager can't find the specified "+what)
}

// answer carries out one operation. The caller holds mu.
func (s *Server) answer(operation string, in *input) (any, *Refusal) {
	if operation == "CreateSecret" {
		return s.create(in)
	}
	secrets := s.secrets
	if s.stale != nil && (operation == "DescribeSecret" || operation == "GetSecretValue") {
		secrets = s.stale
	}
	sec := find(secrets, in.SecretId)
	if sec == nil {
		return nil, notFound("secret.")
	}
	if operation == "DescribeSecret" {
		return describe(sec), nil
	}
	if !sec.deleted.IsZero() {
		return nil, refuse("InvalidRequestException", "You can't perform this operation on the secret because it was marked for deletion.")
	}
	if sec.primary != "" && operation != "GetSecretValue" {
		return nil, refuse("InvalidRequestException", "Operation not permitted on a replica secret.")
	}
	switch operation {
	case "GetSecretValue":
		return get(sec, in)
	case "PutSecretValue":
		return s.put(sec, in)
	case "UpdateSecretVersionStage":
		return update(sec, in)
	}
	return nil, refuse("UnknownOperationException", "")
}

func (s *Server) create(in *input) (any, *Refusal) {
	if sec := find(s.secrets, in.Name); sec != nil {
		if v := sec.versions[in.ClientRequestToken]; v != nil && v.value() != nil && in.SecretString != nil && *v.value() == *in.SecretString {
			return map[string]any{"ARN": sec.arn, "Name": sec.name, "VersionId": in.ClientRequestToken}, nil
		}
		return nil, refuse("ResourceExistsException", "The operation failed because the secret "+in.Name+" already exists.")
	}
	sec := newSecret(in.Name)
	if s.secrets == nil {
		s.secrets = map[string]*secret{}
	}
	s.secrets[in.Name] = sec
	if in.SecretString != nil {
		sec.add(in.ClientRequestToken, in.SecretString)
		sec.move(Current, in.ClientRequestToken)
	}
	return map[string]any{"ARN": sec.arn, "Name": sec.name, "VersionId": in.ClientRequestToken}, nil
}

func describe(sec *secret) map[string]any {
	out := map[string]any{"ARN": sec.arn, "Name": sec.name, "VersionIdsToStages": sec.stages(), "RotationEnabled": sec.rotates}
	if sec.days > 0 {
		out["RotationRules"] = map[string]any{"AutomaticallyAfterDays": sec.days}
	}
	if !sec.rotated.IsZero() {
		out["LastRotatedDate"] = float64(sec.rotated.UnixMilli()) / 1000
	}
	if sec.owner != "" {
		out["OwningService"] = sec.owner
	}
	if sec.primary != "" {
		out["PrimaryRegion"] = sec.primary
	}
	if !sec.deleted.IsZero() {
		out["DeletedDate"] = sec.deleted.Unix()
	}
	return out
}

func get(sec *secret, in *input) (any, *Refusal) {
	id := in.VersionId
	switch {
	case id == "" && in.VersionStage == "":
		id = sec.labels[Current]
	case id == "":
		id = sec.labels[in.VersionStage]
	case in.VersionStage != "" && sec.labels[in.VersionStage] != id:
		return nil, refuse("InvalidRequestException", "You provided a VersionStage that is not associated to the provided VersionId.")
	}
	v := sec.versions[id]
	if v == nil || v.value() == nil {
		return nil, notFound("secret value for VersionId: " + id)
	}
	return map[string]any{"ARN": sec.arn, "Name": sec.name, "VersionId": id, "SecretString": *v.value(),
		"VersionStages": sec.stages()[id], "CreatedDate": float64(v.created.UnixMilli()) / 1000}, nil
}

func (s *Server) put(sec *secret, in *input) (any, *Refusal) {
	id := in.ClientRequestToken
	if in.RotationToken != "" {
		s.tokens = append(s.tokens, in.RotationToken)
	}
	if len(id) < 32 || len(id) > 64 {
		return nil, refuse("InvalidParameterException", "ClientRequestToken must be 32-64 characters long.")
	}
	if in.SecretString == nil || len(*in.SecretString) == 0 || len(*in.SecretString) > 65536 {
		return nil, refuse("InvalidParameterException", "SecretString must have 1 to 65536 bytes.")
	}
	out := func() map[string]any {
		return map[string]any{"ARN": sec.arn, "Name": sec.name, "VersionId": id, "VersionStages": sec.stages()[id]}
	}
	if v := sec.versions[id]; v != nil && v.value() != nil {
		if *v.value() == *in.SecretString {
			return out(), nil // it does nothing: the labels stay as well
		}
		return nil, refuse("ResourceExistsException", "You can't use ClientRequestToken "+id+" because that value is already in use for a version of secret "+sec.arn+".")
	}
	first := len(sec.versions) == 0
	if !sec.add(id, in.SecretString) {
		return nil, refuse("LimitExceededException", "The request failed because it would exceed one of the Secrets Manager quotas.")
	}
	s.puts++
	labels := in.VersionStages
	if labels == nil || first && !slices.Contains(labels, Current) {
		labels = append(slices.Clone(labels), Current)
	}
	for _, label := range labels {
		sec.move(label, id)
	}
	return out(), nil
}

// update is a compare-and-move.
func update(sec *secret, in *input) (any, *Refusal) {
	label, at := in.VersionStage, sec.labels[in.VersionStage]
	switch {
	case in.MoveToVersionId != "" && sec.versions[in.MoveToVersionId] == nil:
		return nil, notFound("secret version.")
	case in.MoveToVersionId == "" && label == Current:
		return nil, refuse("InvalidParameterException", "You can only move staging label AWSCURRENT to a different secret version. It can't be completely removed.")
	case in.RemoveFromVersionId == "" && at != "" && at != in.MoveToVersionId:
		return nil, refuse("InvalidParameterException", "The parameter RemoveFromVersionId can't be empty. Staging label "+label+" is currently attached to version "+at+", so you must explicitly reference that version in RemoveFromVersionId.")
	case in.RemoveFromVersionId != "" && at != in.RemoveFromVersionId:
		return nil, refuse("InvalidParameterException", "The parameter RemoveFromVersionId isn't valid: it must be set to the version that currently has the staging label "+label+".")
	}
	if label == Current && sec.rotates && in.MoveToVersionId == sec.labels[Pending] {
		sec.rotated = time.Now()
	}
	sec.move(label, in.MoveToVersionId)
	return map[string]any{"ARN": sec.arn, "Name": sec.name}, nil
}

// Rotates tells how often a secret rotates by itself; 0: not at all, and when it
// last has is forgotten.
func (s *Server) Rotates(name string, every time.Duration) {
	s.edit(name, func(sec *secret) {
		if sec.rotates, sec.days = every > 0, int(every/(24*time.Hour)); !sec.rotates {
			sec.rotated = time.Time{}
		}
	})
}
