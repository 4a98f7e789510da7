"""TCGA-OT from small tables in the form that TITAN publishes."""

import pytest
from small_cohorts import write_features

from mil_bench.base.errors import DataError, TaxonomyError
from mil_bench.contract.dataset import DatasetOptions
from mil_bench.datasets.tcga_ot import CODES, TISSUES, TcgaOt

HEAD = "slide_id,case_id,project_id,sex,OncoTreeCode,OncoTreeSiteCode,site,source_site\n"
HOME = {code: tissue for tissue, codes in TISSUES.items() for code in codes}
WANDERING = {  # eight codes, each found at a second site
    "LMS": "UTERUS",
    "MFH": "KIDNEY",
    "DDLS": "KIDNEY",
    "MFS": "BREAST",
    "ESCC": "HEAD_NECK",
    "PHC": "SOFT_TISSUE",
    "HGSOC": "PERITONEUM",
    "NSGCT": "SOFT_TISSUE",
}


def line(number, code, site):
    return f"TCGA-{number},case-{number},TCGA-X,F,{code},{site},AA,A hospital\n"


def write(root, codes, wandering):
    """Two slides per code, in train and test; those of ``wandering`` have another site in test."""
    for name, shift in (("train", 0), ("val", 100), ("test", 200)):
        rows = [
            line(i + shift, code, wandering.get(code, HOME[code]) if shift else HOME[code])
            for i, code in enumerate(codes)
        ]
        (root / f"tcga-ot_{name}.csv").write_text(HEAD + "".join(rows))
    return root


def cohort_of(root, tree=None):
    return TcgaOt().cohort(DatasetOptions(data_root=root, tree=tree))


def test_the_shipped_rule_is_a_tree_of_46_codes_in_22_tissues(tmp_path):
    cohort = cohort_of(write(tmp_path, CODES, WANDERING))
    tree = cohort.taxonomy
    assert [len(tree.classes[level]) for level in tree.levels] == [22, 46]
    assert ("SOFT_TISSUE", "LMS") in tree.paths
    assert cohort.labels.manifest.labels()["TCGA-200"] == CODES[0]


def test_codes_at_several_sites_are_a_finding_that_names_all_and_the_rule(tmp_path):
    (finding,) = (
        f for f in cohort_of(write(tmp_path, CODES, WANDERING)).labels.findings if "sites" in f
    )
    assert finding.startswith("8 codes occur at several sites (")
    assert "LMS: UTERUS 2, SOFT_TISSUE 1" in finding
    assert all(code in finding for code in WANDERING)
    assert "oncotree" in finding


def test_sites_as_a_tree_are_refused_with_the_codes_named(tmp_path):
    write(tmp_path, CODES, WANDERING)
    with pytest.raises(TaxonomyError, match="8 codes occur at several sites") as refusal:
        cohort_of(tmp_path, "site")
    assert all(f"{code}: " in str(refusal.value) for code in WANDERING)
    assert "Use --tree oncotree" in str(refusal.value)


def test_sites_are_a_tree_of_codes_that_keep_to_one(tmp_path):
    codes = ["LUAD", "LUSC", "LMS", "UCS"]
    tree = cohort_of(write(tmp_path, codes, {"LUAD": "LUNG"}), "site").taxonomy
    assert set(tree.paths) == {(HOME[code], code) for code in codes}


def test_the_sets_are_those_of_the_files_and_sites_are_kept_for_subgroups(tmp_path):
    labels = cohort_of(write(tmp_path, ["LMS", "LUAD"], WANDERING)).labels
    assert labels.official[0].test == ("TCGA-200", "TCGA-201")
    sites = dict(zip(labels.manifest.slide_ids, labels.manifest.table["site"], strict=True))
    assert (sites["TCGA-0"], sites["TCGA-200"]) == ("SOFT_TISSUE", "UTERUS")


def test_an_unknown_code_is_refused_with_the_nearest(tmp_path):
    (tmp_path / "tcga-ot_train.csv").write_text(HEAD + line(1, "LUADX", "LUNG"))
    with pytest.raises(DataError, match=r"'LUADX' of .*; did you mean 'LUAD'"):
        cohort_of(tmp_path)


def test_a_blank_is_no_further_site(tmp_path):
    write(tmp_path, ["LUAD", "LMS"], {"LUAD": ""})
    assert not [told for told in cohort_of(tmp_path).labels.findings if "sites" in told]
    assert set(cohort_of(tmp_path, "site").taxonomy.paths) == {
        ("LUNG", "LUAD"),
        ("SOFT_TISSUE", "LMS"),
    }


def test_features_are_found_under_the_names_of_the_gdc(tmp_path):
    slide = "TCGA-DG-A2KK-01Z-00-DX1.248D92C3-AD5B-4F3C-AE5C-6F8C70C7AE87"
    row = f"{slide},TCGA-DG-A2KK,TCGA-CESC,F,CESC,CERVIX,DG,Institute (OICR)\n"
    (tmp_path / "tcga-ot_train.csv").write_text(HEAD + row)
    write_features(tmp_path / "20x_256px_0px_overlap" / "features_uni_v1", [slide])
    options = DatasetOptions(data_root=tmp_path, cache=tmp_path / "cache")
    assert list(TcgaOt().load(options).store.rows) == [slide]


def test_the_published_lists_have_11186_slides_46_codes_and_8_of_them_at_several_sites(real_list):
    manifest = cohort_of(real_list("tcga_ot")).labels.manifest
    assert len(manifest) == 11_186  # num_samples of config_tcga-ot.yaml
    assert set(manifest.table["label"]) == set(CODES)
    assert manifest.table["site"].nunique() == 28
    with pytest.raises(TaxonomyError, match=r"^8 codes occur at several sites"):
        cohort_of(real_list("tcga_ot"), "site")
