"""Can the parity gate fail?"""
