"""The page for teachers holds the code that runs: taken from the files, not copied by hand."""

from harness.lessons import page


def test_the_committed_page_is_what_the_files_say_now():
    assert page.PAGE.read_text(encoding="utf-8") == page.render()


def test_every_framework_s_training_step_is_on_the_page_except_its_list_of_arguments():
    text = page.render()
    for stem in page.FRAMEWORKS:
        source = (page.WORKER / "arms" / "naive" / f"{stem}.py").read_text(encoding="utf-8")
        begin = source.index("def one_training_step(")
        signature, docstring, body = source[begin : source.index("\n\n\n", begin)].split('"""')
        assert f'{signature}"""{docstring.partition(chr(10))[0]}"""{body}' in text
    assert "Args:" not in text
    assert text.count("class NaiveDense:") == 4
